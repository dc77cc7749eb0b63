//! Manifests from files, folders and standard input.

use crate::failure::Failure;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Standard input, as kubectl names it.
const STDIN: &str = "-";
/// What kubectl reads of a folder.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// One text, and where it comes from.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub(crate) source: String,
    /// The file; none: standard input.
    pub(crate) path: Option<PathBuf>,
    pub(crate) text: String,
}

/// Reads everything that `-f` names, in order.
pub(crate) fn read(names: &[PathBuf]) -> Result<Vec<Manifest>, Failure> {
    let mut manifests = Vec::new();
    for name in names {
        if name.as_os_str() == STDIN {
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            read.map_err(|source| unreadable(name, source))?;
            let source = "standard input".to_owned();
            let path = None;
            manifests.push(Manifest { source, path, text });
        } else if name.is_dir() {
            for file in files(name)? {
                manifests.push(one(&file)?);
            }
        } else {
            manifests.push(one(name)?);
        }
    }
    Ok(manifests)
}

fn one(file: &Path) -> Result<Manifest, Failure> {
    let text = std::fs::read_to_string(file).map_err(|source| unreadable(file, source))?;
    let source = file.display().to_string();
    let path = Some(file.to_owned());
    Ok(Manifest { source, path, text })
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = std::fs::read_dir(folder).map_err(|source| unreadable(folder, source))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|source| unreadable(folder, source))?.path();
        let extension = path.extension().and_then(|it| it.to_str());
        if path.is_file() && extension.is_some_and(|it| EXTENSIONS.contains(&it)) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn unreadable(name: &Path, source: std::io::Error) -> Failure {
    Failure::Unreadable {
        name: name.display().to_string(),
        source,
    }
}
