//! Programs of the system that a cluster needs: checked, and installed where apt may do it.

use std::path::{Path, PathBuf};

use nix::unistd::Uid;
use tokio::process::Command;

use super::error::{Error, Result};
use super::run;
use crate::progress;

const INSTALL_DEADLINE_MS: u64 = 10 * 60 * 1000;
/// Where Debian puts the CNI plugins.
pub(crate) const CNI_FOLDER: &str = "/usr/lib/cni";

/// A Debian package, and the program by which its presence is seen.
const PACKAGES: [(&str, &str); 6] = [
    ("buildah", "buildah"),
    ("containernetworking-plugins", "/usr/lib/cni/bridge"),
    ("iproute2", "ip"),
    ("musl-tools", "musl-gcc"),
    ("nftables", "nft"),
    ("runc", "runc"),
];

/// A browser without a window, and letters for it.
const BROWSER_PACKAGES: [(&str, &str); 2] = [
    ("chromium-headless-shell", BROWSER),
    (
        "fonts-liberation",
        "/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf",
    ),
];
const BROWSER: &str = "chromium-headless-shell";

/// Installs what is missing.
///
/// # Errors
/// If this is not Linux or not root, or apt is absent or fails: the error says what to install.
pub async fn ensure() -> Result<()> {
    install(&PACKAGES).await
}

/// Installs a browser that shows pages without a window, if it is missing; returns its path.
///
/// # Errors
/// As [`ensure`].
pub async fn browser() -> Result<PathBuf> {
    install(&BROWSER_PACKAGES).await?;
    let found = || Error::new("find a browser", format!("{BROWSER} is not on the PATH"));
    find(BROWSER).ok_or_else(found)
}

async fn install(packages: &[(&str, &str)]) -> Result<()> {
    if !cfg!(target_os = "linux") || !Uid::effective().is_root() {
        return Err(
            Error::new("install system programs", "it needs root on Linux")
                .cure("run it as root on a Linux machine"),
        );
    }
    let missing: Vec<&str> = packages
        .iter()
        .filter(|(_, program)| find(program).is_none())
        .map(|(package, _)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    let cure = format!("apt-get install {list} (or what your system calls these)");
    if find("apt-get").is_none() {
        return Err(Error::new("find system programs", format!("missing: {list}")).cure(cure));
    }
    let step = progress::step(format!("installing {list}"));
    for arguments in [
        vec!["update"],
        [vec!["install", "-y", "--no-install-recommends"], missing].concat(),
    ] {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive").args(arguments);
        run::output(&format!("install {list}"), apt, INSTALL_DEADLINE_MS)
            .await
            .map_err(|error| error.cure(cure.clone()))?;
    }
    step.done();
    Ok(())
}

/// Path of a program, which may be given with its folder.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(system)
        .map(|folder| folder.join(Path::new(program)))
        .find(|path| path.is_file())
}
