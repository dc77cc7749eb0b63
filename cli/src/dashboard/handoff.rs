//! How the browser gets the address. Who is on this machine can read what a program was started with,
//! so it is started with a file, which its user alone can read, and which leads on to the address.

use std::fs::{OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::{Builder, TempDir};

/// The folder is its user's alone,
const FOLDER_MODE: u32 = 0o700;
/// and so is the file.
const FILE_MODE: u32 = 0o600;
const PREFIX: &str = "active-passive-";
const NAME: &str = "dashboard.html";
/// The folder that a login has for itself, gone with it.
const RUNTIME_FOLDER: &str = "XDG_RUNTIME_DIR";

/// A file that leads to an address. It goes when this is dropped.
#[derive(Debug)]
pub(super) struct Handoff {
    file: PathBuf,
    // Removes itself and the file.
    _folder: TempDir,
}

impl Handoff {
    /// Writes the file: where the login has its own, or else where temporary files are.
    pub(super) fn new(url: &str) -> io::Result<Self> {
        let own = std::env::var_os(RUNTIME_FOLDER).map(PathBuf::from);
        let own = own.filter(|folder| folder.is_absolute());
        own.and_then(|folder| Self::below(&folder, url).ok())
            .map_or_else(|| Self::below(&std::env::temp_dir(), url), Ok)
    }

    fn below(parent: &Path, url: &str) -> io::Result<Self> {
        let folder = Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(FOLDER_MODE))
            .tempdir_in(parent)?;
        let file = folder.path().join(NAME);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(FILE_MODE);
        options.open(&file)?.write_all(page(url).as_bytes())?;
        Ok(Self {
            file,
            _folder: folder,
        })
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }
}

/// Leads on at once, without a script; by a click where the browser does not.
fn page(url: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta http-equiv=\"refresh\" content=\"0; url={url}\">\n\
         <title>active-passive</title>\n<p><a href=\"{url}\">To the dashboard</a></p>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "http://127.0.0.1:4711/#key=00ff";

    fn mode(path: &Path) -> u32 {
        let metadata = std::fs::symlink_metadata(path).unwrap();
        metadata.permissions().mode() & 0o777
    }

    #[test]
    fn its_user_alone_can_read_it_and_it_goes() {
        let parent = tempfile::tempdir().unwrap();
        let handoff = Handoff::below(parent.path(), URL).unwrap();
        let file = handoff.file().to_owned();
        let folder = file.parent().unwrap().to_owned();
        assert_eq!((mode(&folder), mode(&file)), (FOLDER_MODE, FILE_MODE));
        // What others see of it tells nothing.
        assert!(!file.to_string_lossy().contains("00ff"));
        let page = std::fs::read_to_string(&file).unwrap();
        let refresh = format!("<meta http-equiv=\"refresh\" content=\"0; url={URL}\">");
        assert!(page.contains(&refresh), "{page}");
        assert!(!page.contains("script"), "{page}");
        drop(handoff);
        assert!(!folder.exists() && parent.path().exists());
    }

    #[test]
    fn each_one_is_another() {
        let parent = tempfile::tempdir().unwrap();
        let [one, other] = [(); 2].map(|()| Handoff::below(parent.path(), URL).unwrap());
        assert_ne!(one.file(), other.file());
        assert!(Handoff::below(&parent.path().join("absent"), URL).is_err());
    }
}
