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
use std::collections::BTreeSet;
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

/// Reads everything that `-f` names; a file that is named twice, once.
pub(super) fn read(names: &[PathBuf]) -> Result<Vec<File>, Failure> {
    let mut manifests = manifests::read(names)?;
    let mut known = BTreeSet::new();
    manifests.retain(|it| {
        let path = it.path.as_ref();
        path.is_none_or(|path| {
            known.insert(fs::canonicalize(path).unwrap_or_else(|_| path.clone()))
        })
    });
    let files = manifests.into_iter();
    Ok(files
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

/// Writes every file that has changed: first each to a new one beside it, then these take the names.
/// Where one cannot be written, none is changed.
pub(super) fn write(files: &[File]) -> Result<(), Failure> {
    take_names(&prepare(files)?)
}

/// Writes each new text beside its file.
fn prepare(files: &[File]) -> Result<Vec<Prepared<'_>>, Failure> {
    let mut prepared = Vec::new();
    for file in files.iter().filter(|file| file.is_changed()) {
        let Some(path) = &file.path else { continue };
        let beside = Beside::write(path, &file.text()).map_err(|source| unwritable(file, source));
        prepared.push((file, beside?));
    }
    Ok(prepared)
}

type Prepared<'a> = (&'a File, Beside);

/// Lets each new text take the name of its file. Where one cannot, those of before get back what was
/// in them.
fn take_names(prepared: &[Prepared<'_>]) -> Result<(), Failure> {
    for (index, (file, beside)) in prepared.iter().enumerate() {
        let Err(source) = beside.take_name() else {
            continue;
        };
        let done = prepared[..index].iter();
        let kept = done.filter(|(file, beside)| {
            let original = Beside::write(&beside.path, &file.original);
            original.and_then(|it| it.take_name()).is_err()
        });
        let kept: Vec<&str> = kept.map(|(file, _)| file.source.as_str()).collect();
        if kept.is_empty() {
            return Err(unwritable(file, source));
        }
        return Err(Failure::HalfWritten {
            name: file.source.clone(),
            written: kept.join(", "),
            source,
        });
    }
    Ok(())
}

fn unwritable(file: &File, source: io::Error) -> Failure {
    Failure::Unwritable {
        name: file.source.clone(),
        source,
    }
}

/// A text that is on the disk, beside the file whose name it is to take. One that has not taken it
/// is removed when it is dropped.
struct Beside {
    new: PathBuf,
    path: PathBuf,
}

impl Beside {
    fn write(path: &Path, text: &str) -> io::Result<Self> {
        // A link stays one.
        let path = fs::canonicalize(path)?;
        let permissions = fs::metadata(&path)?.permissions();
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.new", std::process::id()));
        let new = path.with_file_name(name);
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).open(&new)?;
        let beside = Self { new, path };
        file.set_permissions(permissions)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        Ok(beside)
    }

    fn take_name(&self) -> io::Result<()> {
        fs::rename(&self.new, &self.path)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // It is not there where it has taken the name; otherwise it is of no use, and in nobody's way.
        fs::remove_file(&self.new).ok();
    }
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
        Beside::write(&link, "new").unwrap().take_name().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o640
        );
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
        fs::remove_dir_all(&folder).unwrap();
    }

    /// Two files of a folder of its own, with a change each.
    fn two(name: &str) -> (PathBuf, Vec<File>) {
        let folder = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = |name: &str| {
            let path = folder.join(name);
            fs::write(&path, "old: 1\n").unwrap();
            let mut file = File::of(name.to_owned(), Some(path), "old: 1\n".to_owned());
            file.documents[0].body = "new: 2\n".to_owned();
            file
        };
        let files = vec![file("a.yaml"), file("b.yaml")];
        (folder, files)
    }

    #[test]
    fn all_files_are_written_or_none() {
        let (folder, files) = two("migrate-prepare");
        // Nothing can be written beside the second one.
        let taken = folder.join(format!("b.yaml.{}.new", std::process::id()));
        fs::create_dir(&taken).unwrap();
        let failure = write(&files).unwrap_err().to_string();
        let told = "no file has changed";
        assert!(
            failure.starts_with("write b.yaml: ") && failure.contains(told),
            "{failure}"
        );
        for name in ["a.yaml", "b.yaml"] {
            assert_eq!(fs::read_to_string(folder.join(name)).unwrap(), "old: 1\n");
        }
        assert_eq!(
            fs::read_dir(&folder).unwrap().count(),
            3,
            "nothing is left over"
        );
        fs::remove_dir(&taken).unwrap();
        write(&files).unwrap();
        for name in ["a.yaml", "b.yaml"] {
            assert_eq!(fs::read_to_string(folder.join(name)).unwrap(), "new: 2\n");
        }
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_file_that_cannot_take_its_name_gives_the_others_back() {
        let (folder, files) = two("migrate-names");
        let prepared = prepare(&files).unwrap();
        let second = folder.join("b.yaml");
        fs::remove_file(&second).unwrap();
        fs::create_dir(&second).unwrap();
        let failure = take_names(&prepared).unwrap_err().to_string();
        assert!(failure.starts_with("write b.yaml: "), "{failure}");
        let first = fs::read_to_string(folder.join("a.yaml")).unwrap();
        assert_eq!(first, "old: 1\n");
        drop(prepared);
        assert_eq!(
            fs::read_dir(&folder).unwrap().count(),
            2,
            "nothing is left over"
        );
        fs::remove_dir_all(&folder).unwrap();
    }
}
