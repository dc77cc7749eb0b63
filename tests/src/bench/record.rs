//! The files of results: one a bench, in which a later run takes the place of an earlier one.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cluster::{Doing, Result};
use crate::project_root;

/// What the file of `bench` holds; `None` if there is none.
///
/// # Errors
/// If it cannot be read.
pub(super) fn read<T: DeserializeOwned>(bench: &str) -> Result<Option<T>> {
    let path = path(bench);
    let action = || format!("read {}", path.display());
    match fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).map(Some).doing(action),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).doing(action),
    }
}

/// Writes the results of `bench`.
///
/// # Errors
/// If the file cannot be written.
pub(super) fn write(bench: &str, results: &impl Serialize) -> Result<()> {
    let path = path(bench);
    let action = || format!("write {}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).doing(action)?;
    }
    let text = serde_json::to_string_pretty(results).doing(action)?;
    fs::write(&path, text + "\n").doing(action)
}

fn path(bench: &str) -> PathBuf {
    project_root().join("results").join(format!("{bench}.json"))
}
