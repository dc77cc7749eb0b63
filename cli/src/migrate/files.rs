//! Files as their documents: read, changed one by one, written back in one step each.
//!
//! A text is cut at its `---` lines, so that a document can go with all that belongs to it, and no
//! change of one touches another.

use super::object::Place;
use super::plan::{Edit, What};
use crate::failure::Failure;
use crate::manifests;
use crate::yaml::{Change, Text};
use serde_json::Value;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const SEPARATOR: &str = "---";

/// A file.
pub(super) struct File {
    /// What it is called.
    pub(super) source: String,
    /// Where it is; none: standard input.
    pub(super) path: Option<PathBuf>,
    /// What was in it.
    pub(super) original: String,
    documents: Vec<Document>,
}

/// A document of a file.
struct Document {
    /// The line before it; "" for a first one that has none.
    separator: String,
    /// Comments above the first document, which are about the file.
    head: String,
    body: String,
    is_dropped: bool,
}

impl File {
    fn of(source: String, path: Option<PathBuf>, original: String) -> Self {
        let documents = cut(&original);
        Self {
            source,
            path,
            original,
            documents,
        }
    }

    /// What is in it now.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let mut is_first = true;
        for document in &self.documents {
            text.push_str(&document.head);
            if document.is_dropped {
                continue;
            }
            let had_none = self.documents[0].separator.is_empty();
            if !(is_first && had_none) {
                text.push_str(&document.separator);
            }
            text.push_str(&document.body);
            is_first = false;
        }
        text
    }

    pub(super) fn is_changed(&self) -> bool {
        self.text() != self.original
    }

    /// Whether it had objects, and has none any more.
    pub(super) fn is_emptied(&self) -> bool {
        let holds = |document: &&Document| !is_empty(&document.body);
        let mut left = self.documents.iter().filter(|it| !it.is_dropped);
        self.is_changed() && !left.any(|document| holds(&document))
    }
}

/// Reads everything that `-f` names.
pub(super) fn read(names: &[PathBuf]) -> Result<Vec<File>, Failure> {
    let manifests = manifests::read(names)?.into_iter();
    Ok(manifests
        .map(|it| File::of(it.source, it.path, it.text))
        .collect())
}

/// The documents that are left, as `(file, document, value)`.
pub(super) fn values(files: &[File]) -> Result<Vec<(usize, usize, Value)>, Failure> {
    let mut values = Vec::new();
    for (file, read) in files.iter().enumerate() {
        for (index, document) in read.documents.iter().enumerate() {
            if document.is_dropped || is_empty(&document.body) {
                continue;
            }
            let value = Text::parse(&document.body).and_then(|text| text.value(0));
            values.push((file, index, value.map_err(|why| refused(read, why))?));
        }
    }
    Ok(values)
}

/// Carries edits out. What is dropped goes last, from behind, so that places stay right.
pub(super) fn change(files: &mut [File], edits: &[Edit]) -> Result<(), Failure> {
    for (index, file) in files.iter_mut().enumerate() {
        for document in 0..file.documents.len() {
            let here = |place: &Place| (place.file, place.document) == (index, document);
            let edits: Vec<&Edit> = edits.iter().filter(|edit| here(&edit.place)).collect();
            let changed = change_document(&mut file.documents[document], &edits);
            changed.map_err(|why| refused(file, why))?;
        }
    }
    Ok(())
}

fn change_document(document: &mut Document, edits: &[&Edit]) -> Result<(), String> {
    let dropped = |edit: &&&Edit| matches!(edit.what, What::Drop);
    document.is_dropped = edits
        .iter()
        .filter(dropped)
        .any(|it| it.place.at.is_empty());
    if document.is_dropped || edits.is_empty() {
        return Ok(());
    }
    let changes = edits.iter().filter_map(|edit| match &edit.what {
        What::Add(add) => Some(Change::Add(add)),
        What::Remove(at) => Some(Change::Remove(at)),
        What::Drop => None,
    });
    let items = edits.iter().filter(dropped).rev();
    let items = items.map(|edit| Change::Remove(&edit.place.at));
    let changes: Vec<Change<'_>> = changes.chain(items).collect();
    let text = Text::parse(&document.body)?;
    text.change(0, &changes)?;
    document.body = text.to_string();
    Ok(())
}

/// Writes every file that has changed: to a new one beside it, which then takes its name.
pub(super) fn write(files: &[File]) -> Result<(), Failure> {
    for file in files.iter().filter(|file| file.is_changed()) {
        let Some(path) = &file.path else { continue };
        let written = replace(path, &file.text());
        written.map_err(|source| Failure::Unwritable {
            name: file.source.clone(),
            source,
        })?;
    }
    Ok(())
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    // A link stays one.
    let path = fs::canonicalize(path)?;
    let permissions = fs::metadata(&path)?.permissions();
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = path.with_file_name(name);
    let write = || {
        let mut options = OpenOptions::new();
        let mut new = options.write(true).create_new(true).open(&beside)?;
        new.set_permissions(permissions)?;
        new.write_all(text.as_bytes())?;
        new.sync_all()?;
        fs::rename(&beside, &path)
    };
    let written = write();
    if written.is_err() {
        // What was begun is of no use; that it cannot be removed either changes nothing.
        fs::remove_file(&beside).ok();
    }
    written
}

/// A text as its documents.
fn cut(text: &str) -> Vec<Document> {
    let mut documents: Vec<Document> = Vec::new();
    for line in text.split_inclusive('\n') {
        let begins = is_separator(line);
        if begins || documents.is_empty() {
            documents.push(Document {
                separator: if begins { line } else { "" }.to_owned(),
                head: String::new(),
                body: String::new(),
                is_dropped: false,
            });
        }
        if let (false, Some(document)) = (begins, documents.last_mut()) {
            document.body.push_str(line);
        }
    }
    if let Some(first) = documents.first_mut().filter(|it| it.separator.is_empty()) {
        let body = std::mem::take(&mut first.body);
        let mut lines = body.split_inclusive('\n');
        let head = lines.by_ref().take_while(|line| is_comment(line));
        let head_bytes = head.map(str::len).sum();
        first.head = body[..head_bytes].to_owned();
        first.body = body[head_bytes..].to_owned();
    }
    documents
}

/// A line that does nothing but begin a document.
fn is_separator(line: &str) -> bool {
    let rest = line.strip_prefix(SEPARATOR);
    rest.is_some_and(|rest| {
        let behind = rest.trim();
        behind.is_empty() || (rest.starts_with(char::is_whitespace) && behind.starts_with('#'))
    })
}

fn is_comment(line: &str) -> bool {
    let text = line.trim();
    text.is_empty() || text.starts_with('#')
}

fn is_empty(body: &str) -> bool {
    body.lines().all(is_comment)
}

fn refused(file: &File, why: String) -> Failure {
    Failure::Manifest {
        manifest: file.source.clone(),
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dropped(text: &str, gone: &[usize]) -> String {
        let mut file = File::of("f".to_owned(), None, text.to_owned());
        for index in gone {
            file.documents[*index].is_dropped = true;
        }
        file.text()
    }

    #[test]
    fn documents_go_and_the_others_keep_their_bytes() {
        let text = "# About the file.\na: 1\n--- # second\n# of b\nb: |\n  ---\n  x\n---\nc: 3";
        assert_eq!(dropped(text, &[]), text);
        assert_eq!(
            dropped(text, &[0]),
            "# About the file.\n# of b\nb: |\n  ---\n  x\n---\nc: 3"
        );
        assert_eq!(dropped(text, &[1]), "# About the file.\na: 1\n---\nc: 3");
        assert_eq!(dropped(text, &[0, 1, 2]), "# About the file.\n");
        let marked = "---\na: 1\n---\nb: 2\n";
        assert_eq!(dropped(marked, &[0]), "---\nb: 2\n");
        assert_eq!(dropped(marked, &[1]), "---\na: 1\n");
    }

    #[test]
    fn a_file_is_replaced_in_one_step_and_keeps_its_mode() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = std::env::temp_dir().join(format!("migrate-files-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (path, link) = (folder.join("a.yaml"), folder.join("link.yaml"));
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        fs::remove_file(&link).ok();
        symlink(&path, &link).unwrap();
        replace(&link, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o640
        );
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
        fs::remove_dir_all(&folder).unwrap();
    }
}
