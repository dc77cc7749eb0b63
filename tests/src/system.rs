//! The systems that are run side by side: ours, and what most electors in the field are.

use std::fs;

use serde::{Deserialize, Serialize};

use crate::cluster::{Doing, Result};
use crate::observe::{Routing, Signs};
use crate::project_root;
use crate::scene::Scene;

/// A system of which one pod of three is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum System {
    /// The project's example.
    #[serde(rename = "active-passive")]
    Ours,
    /// `tests/peer`: the same app beside an elector of the usual kind.
    #[serde(rename = "client-go")]
    Peer,
}

impl System {
    /// As results name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "active-passive",
            Self::Peer => "client-go",
        }
    }

    /// Name of its group, Service, Deployment and app container, and label `app` of its pods.
    #[must_use]
    pub fn group(self) -> &'static str {
        match self {
            Self::Ours => "web",
            Self::Peer => "peer",
        }
    }

    /// Name of the container that elects.
    #[must_use]
    pub fn sidecar(self) -> &'static str {
        match self {
            Self::Ours => common::contract::CONTAINER,
            Self::Peer => "elector",
        }
    }

    /// How its pods and its active pod are told from others.
    #[must_use]
    pub fn signs(self) -> Signs {
        match self {
            Self::Ours => Signs::of_group(self.group()),
            Self::Peer => Signs {
                pods: "app=peer".to_owned(),
                active: Some(("peer-role".to_owned(), "active".to_owned())),
                routing: Routing::Label,
            },
        }
    }

    /// Its example, as it is applied.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn manifest(self) -> Result<String> {
        match self {
            Self::Ours => Scene::example(),
            Self::Peer => {
                let path = project_root().join("tests/peer/peer.yaml");
                fs::read_to_string(&path).doing(|| format!("read {}", path.display()))
            }
        }
    }
}
