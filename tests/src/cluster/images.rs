//! The project's images: static binaries built by cargo, packed by buildah into OCI archives.
//!
//! No registry is asked for anything. An archive is kept under a name that says what is in it, so
//! what has not changed is not packed again.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::error::{Doing, Result};
use super::{binaries, node, run};
use crate::{progress, project_root};

const BUILD_DEADLINE_MS: u64 = 20 * 60 * 1000;
const PACK_DEADLINE_MS: u64 = 2 * 60 * 1000;
const DOCKERFILE: &str = include_str!("../../../Dockerfile");
const PAUSE_SOURCE: &str = include_str!("../../pause/src/main.rs");
/// Version of the project, and tag of its images: the chart's default.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// An image of the project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// The injected program.
    Sidecar,
    /// The admission webhook.
    Webhook,
    /// The app of the example, which answers with the name of its pod.
    ExampleApp,
    /// An elector of the usual kind, which the benches compare with. No image of the project.
    Peer,
}

impl Kind {
    /// All of the project.
    pub const ALL: [Self; 3] = [Self::Sidecar, Self::Webhook, Self::ExampleApp];

    /// Name as in a pod's `image`.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Sidecar => format!("registry.invalid/active-passive/sidecar:{VERSION}"),
            Self::Webhook => format!("registry.invalid/active-passive/webhook:{VERSION}"),
            Self::ExampleApp => "registry.invalid/active-passive/example-app:demo".into(),
            Self::Peer => "registry.invalid/active-passive/peer:bench".into(),
        }
    }

    /// Its name less the tag, as the chart's values want it.
    fn repository(self) -> String {
        let name = self.name();
        let repository = name.rsplit_once(':').map(|(repository, _)| repository);
        repository.unwrap_or(&name).to_owned()
    }

    /// Last part of its name, which is also its package and its target of the Dockerfile.
    #[must_use]
    pub fn package(self) -> &'static str {
        self.build().package
    }

    fn build(self) -> Build {
        match self {
            Self::Sidecar => Build {
                package: "sidecar",
                program: "active-passive-sidecar",
                by: Builder::Cargo { profile: "sidecar" },
            },
            Self::Webhook => Build {
                package: "webhook",
                program: "active-passive-webhook",
                by: Builder::Cargo { profile: "webhook" },
            },
            Self::ExampleApp => Build {
                package: "example-app",
                program: "example-app",
                by: Builder::Cargo { profile: "sidecar" },
            },
            Self::Peer => Build {
                package: "peer",
                program: "peer",
                by: Builder::Go {
                    source: "tests/peer",
                },
            },
        }
    }
}

/// Values of the chart (as of `helm --set`) that name the images of the project.
#[must_use]
pub fn chart_values() -> [String; 2] {
    [Kind::Webhook, Kind::Sidecar]
        .map(|kind| format!("{}.image.repository={}", kind.package(), kind.repository()))
}

/// How an image comes to be.
struct Build {
    /// Package, and target of the Dockerfile.
    package: &'static str,
    /// File name of the program.
    program: &'static str,
    /// Who compiles it.
    by: Builder,
}

/// Who compiles a program.
enum Builder {
    Cargo {
        profile: &'static str,
    },
    Go {
        /// Its folder.
        source: &'static str,
    },
}

/// An image that was built.
#[derive(Debug, Clone)]
pub struct Image {
    /// Name as in a pod's `image`.
    pub name: String,
    /// OCI archive.
    pub archive: PathBuf,
    /// Size of the program.
    pub binary_bytes: u64,
    /// Size of the archive, which is compressed.
    pub archive_bytes: u64,
}

/// Builds images, or finds that they have been built, and says how large they are.
///
/// # Errors
/// If cargo or buildah fail.
pub async fn build(kinds: &[Kind]) -> Result<Vec<Image>> {
    let mut images = Vec::new();
    for kind in kinds {
        let image = build_one(*kind).await?;
        images.push(image);
    }
    Ok(images)
}

/// Builds all images of the project.
///
/// # Errors
/// As [`build`].
pub async fn build_all() -> Result<Vec<Image>> {
    build(&Kind::ALL).await
}

/// Compiles what is in an image and returns its path.
///
/// # Errors
/// If cargo or go fail.
pub(crate) async fn program(kind: Kind) -> Result<PathBuf> {
    let Build {
        package,
        program,
        by,
    } = kind.build();
    match by {
        Builder::Cargo { profile } => compile(package, program, profile).await,
        Builder::Go { source } => compile_go(source, program).await,
    }
}

async fn build_one(kind: Kind) -> Result<Image> {
    let package = kind.package();
    let binary = program(kind).await?;
    let content = fs::read(&binary).doing(|| format!("read {}", binary.display()))?;
    let name = kind.name();
    let key = hash(&(&content, &name, DOCKERFILE));
    let archive = target()
        .join("images")
        .join(format!("{package}-{key:016x}.tar"));
    if !archive.is_file() {
        pack(package, &name, &archive).await?;
    }
    let archive_bytes = fs::metadata(&archive)
        .doing(|| format!("read {}", archive.display()))?
        .len();
    Ok(Image {
        name,
        archive,
        binary_bytes: content.len() as u64,
        archive_bytes,
    })
}

/// The sandbox image that each node gets. It changes with its source only, so a cluster starts
/// without cargo.
pub(crate) async fn pause() -> Result<PathBuf> {
    let folder = binaries::cache()?.join("images");
    let archive = folder.join(format!(
        "pause-{:016x}.tar",
        hash(&(PAUSE_SOURCE, node::PAUSE_IMAGE, DOCKERFILE))
    ));
    if !archive.is_file() {
        compile("pause", "pause", "sidecar").await?;
        pack("pause", node::PAUSE_IMAGE, &archive).await?;
    }
    Ok(archive)
}

/// Compiles a package to a static program and returns its path.
async fn compile(package: &str, program: &str, profile: &str) -> Result<PathBuf> {
    let triple = triple();
    let step = progress::brief(format!("compiling {package} for {triple}"));
    add_target(&triple).await?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(project_root())
        .args([
            "build",
            "--locked",
            "--package",
            package,
            "--profile",
            profile,
        ])
        .args(["--target", &triple, "--target-dir"])
        .arg(target());
    // What an outer cargo says of its own package would make build scripts run anew, and with them
    // all that depends on them, at every change of the caller.
    for (name, _) in std::env::vars_os() {
        let of_cargo = name.to_string_lossy().starts_with("CARGO_");
        if of_cargo && name != "CARGO_HOME" {
            cargo.env_remove(name);
        }
    }
    run::output(&format!("compile {package}"), cargo, BUILD_DEADLINE_MS).await?;
    step.done();
    Ok(target().join(triple).join(profile).join(program))
}

/// Compiles the Go program of a folder to a static one and returns its path.
///
/// # Errors
/// If go fails.
pub async fn compile_go(source: &str, program: &str) -> Result<PathBuf> {
    let step = progress::brief(format!("compiling {program}"));
    let binary = target().join("go").join(program);
    let mut go = Command::new("go");
    go.current_dir(project_root().join(source))
        .env("CGO_ENABLED", "0")
        .args(["build", "-mod=readonly", "-trimpath", "-ldflags", "-s -w"])
        .arg("-o")
        .arg(&binary)
        .arg(".");
    run::output(&format!("compile {program}"), go, BUILD_DEADLINE_MS)
        .await
        .map_err(|error| error.cure(binaries::GO_CURE))?;
    step.done();
    Ok(binary)
}

/// The folder of a module that the Go program of a folder is built from.
///
/// # Errors
/// If go cannot fetch it.
pub async fn go_module(source: &str, module: &str) -> Result<PathBuf> {
    let folder = project_root().join(source);
    let mut fetch = Command::new("go");
    fetch.current_dir(&folder).args(["mod", "download", module]);
    run::output(&format!("fetch {module}"), fetch, BUILD_DEADLINE_MS)
        .await
        .map_err(|error| error.cure(binaries::GO_CURE))?;
    let mut list = Command::new("go");
    list.current_dir(&folder)
        .args(["list", "-m", "-f={{.Dir}}", module]);
    let path = run::output(&format!("find {module}"), list, PACK_DEADLINE_MS).await?;
    Ok(path.trim().into())
}

/// Adds the target to the toolchain where it is missing.
async fn add_target(triple: &str) -> Result<()> {
    let mut rustc = Command::new("rustc");
    rustc
        .current_dir(project_root())
        .args(["--print", "target-libdir", "--target", triple]);
    let folder = run::output("ask rustc for its targets", rustc, PACK_DEADLINE_MS).await?;
    if Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    let mut rustup = Command::new("rustup");
    rustup
        .current_dir(project_root())
        .args(["target", "add", triple]);
    run::output("add a target", rustup, BUILD_DEADLINE_MS)
        .await
        .map(drop)
        .map_err(|error| error.cure(format!("install Rust's standard library for {triple}")))
}

/// Packs a program as the Dockerfile says.
async fn pack(package: &str, name: &str, archive: &Path) -> Result<()> {
    let action = format!("pack the image {name}");
    let folder = archive.parent().unwrap_or_else(|| Path::new("/"));
    fs::create_dir_all(folder).doing(|| format!("create {}", folder.display()))?;
    // A storage of its own: builds at the same time do not meet, and nothing is left behind.
    let storage = folder.join(format!("{package}-{}.partial", std::process::id()));
    let storage = binaries::Partial(storage);
    let partial = storage.0.join("archive.tar");
    let mut bud = buildah(&storage.0);
    bud.args([
        "bud",
        "--isolation",
        "chroot",
        "--timestamp",
        "0",
        "--target",
        package,
    ])
    .args([
        "--build-arg",
        &format!("TARGET={}", triple()),
        "--tag",
        name,
        ".",
    ]);
    run::output(&action, bud, PACK_DEADLINE_MS).await?;
    let mut push = buildah(&storage.0);
    push.args([
        "push",
        name,
        &format!("oci-archive:{}:{name}", partial.display()),
    ]);
    run::output(&action, push, PACK_DEADLINE_MS).await?;
    fs::rename(&partial, archive).doing(|| action.clone())
}

fn buildah(storage: &Path) -> Command {
    let mut command = Command::new("buildah");
    command
        .current_dir(project_root())
        .args(["--storage-driver", "vfs", "--root"])
        .arg(storage.join("root"))
        .arg("--runroot")
        .arg(storage.join("run"));
    command
}

fn triple() -> String {
    format!("{}-unknown-linux-musl", std::env::consts::ARCH)
}

/// The folder that the Dockerfile copies from.
fn target() -> PathBuf {
    project_root().join("target")
}

fn hash(content: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}
