//! What kubectl completes after `kubectl active-passive`: commands, flags, values, and the names of
//! groups and pods. kubectl asks a program `kubectl_complete-active_passive`, which is this one under
//! another name, and reads a line each and a number that says what else may follow.

use crate::args::{Args, Common};
use crate::connect::connect;
use crate::failure::Failure;
use crate::gather::gather;
use crate::group::Group;
use clap::{Arg, Command, CommandFactory, Parser};
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

/// The name under which kubectl asks.
const PROGRAM: &str = "kubectl_complete-active_passive";
/// What kubectl may offer beside the lines: files, or nothing.
const FILES: &str = ":0";
const NOTHING: &str = ":4";
/// Longest wait for the cluster: somebody has pressed a key.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// What can stand where the cursor is.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// One of these; what they mean, after a tab.
    OneOf(Vec<String>),
    /// A group.
    Group,
    /// A pod of this group.
    Pod(String),
    /// A file.
    File,
    /// Anything.
    Free,
}

/// The words before the cursor, understood.
#[derive(Debug, Default)]
struct Line {
    command: Command,
    /// Flags that say which cluster, as they were written.
    common: Vec<String>,
    positionals: Vec<String>,
    /// The flag whose value is to come.
    open: Option<Arg>,
}

/// Whether the program was started to complete.
pub(crate) fn asked(program: Option<&OsString>) -> bool {
    let name = program.and_then(|it| Path::new(it).file_name());
    name.is_some_and(|name| name == PROGRAM)
}

/// What is offered for the last of `words`, the others being before it.
pub(crate) fn answer(words: &[String]) -> String {
    let Some((last, before)) = words.split_last() else {
        return format!("{NOTHING}\n");
    };
    let line = Line::read(before);
    let (offers, then) = match line.place(last) {
        Place::OneOf(offers) => (offers, NOTHING),
        Place::File => (Vec::new(), FILES),
        Place::Free => (Vec::new(), NOTHING),
        // Without a cluster there is nothing to offer, and nobody to tell.
        Place::Group => (
            groups(&line.common, group_names).unwrap_or_default(),
            NOTHING,
        ),
        Place::Pod(group) => {
            let pods = |groups: &[Group]| pod_names(groups, &group);
            (groups(&line.common, pods).unwrap_or_default(), NOTHING)
        }
    };
    let mut text = String::new();
    for offer in offers.iter().filter(|it| it.starts_with(last.as_str())) {
        text.push_str(&format!("{offer}\n"));
    }
    text + then + "\n"
}

impl Line {
    fn read(words: &[String]) -> Self {
        let mut command = Args::command();
        // Makes global flags those of each command.
        command.build();
        let mut line = Self {
            command,
            ..Self::default()
        };
        for word in words {
            line.take(word);
        }
        line
    }

    fn take(&mut self, word: &str) {
        if let Some(arg) = self.open.take() {
            self.note(&arg, word);
        } else if let Some(flag) = word.strip_prefix("--") {
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (flag, None),
            };
            let arg = self.arg(|it| it.get_long() == Some(name));
            self.flag(arg, value);
        } else if let Some(flags) = word.strip_prefix('-').filter(|it| !it.is_empty()) {
            let short = flags.chars().next();
            let rest = flags.get(1..).filter(|rest| !rest.is_empty());
            let arg = self.arg(|it| it.get_short() == short);
            self.flag(arg, rest);
        } else if let Some(found) = self.command.find_subcommand(word) {
            self.command = found.clone();
        } else {
            self.positionals.push(word.to_owned());
        }
    }

    fn arg(&self, is: impl Fn(&Arg) -> bool) -> Option<Arg> {
        self.command.get_arguments().find(|it| is(it)).cloned()
    }

    fn flag(&mut self, arg: Option<Arg>, value: Option<&str>) {
        let Some(arg) = arg.filter(|arg| arg.get_action().takes_values()) else {
            return;
        };
        match value {
            Some(value) => self.note(&arg, value),
            None => self.open = Some(arg),
        }
    }

    fn note(&mut self, arg: &Arg, value: &str) {
        if let (true, Some(name)) = (arg.is_global_set(), arg.get_long()) {
            self.common.extend([format!("--{name}"), value.to_owned()]);
        }
    }

    fn place(&self, last: &str) -> Place {
        if let Some(arg) = &self.open {
            return self.value(arg);
        }
        if last.starts_with('-') {
            let longs = self.command.get_arguments().filter_map(|arg| {
                let help = arg.get_help().map(ToString::to_string);
                Some(offer(&format!("--{}", arg.get_long()?), help))
            });
            return Place::OneOf(longs.collect());
        }
        if self.command.has_subcommands() {
            let commands = self.command.get_subcommands().map(|command| {
                let about = command.get_about().map(ToString::to_string);
                offer(command.get_name(), about)
            });
            return Place::OneOf(commands.collect());
        }
        let mut positionals = self.command.get_positionals();
        let arg = positionals.nth(self.positionals.len());
        arg.map_or(Place::Free, |arg| self.value(arg))
    }

    fn value(&self, arg: &Arg) -> Place {
        let values = arg.get_possible_values();
        if !values.is_empty() {
            let values = values.iter().map(|value| {
                let help = value.get_help().map(ToString::to_string);
                offer(value.get_name(), help)
            });
            return Place::OneOf(values.collect());
        }
        match (arg.get_id().as_str(), self.positionals.first()) {
            ("group", _) => Place::Group,
            ("to", Some(group)) => Place::Pod(group.clone()),
            ("files" | "svg" | "kubeconfig", _) => Place::File,
            _ => Place::Free,
        }
    }
}

fn offer(name: &str, help: Option<String>) -> String {
    match help {
        Some(help) => format!("{name}\t{help}"),
        None => name.to_owned(),
    }
}

fn group_names(groups: &[Group]) -> Vec<String> {
    groups.iter().map(|group| group.name.clone()).collect()
}

fn pod_names(groups: &[Group], group: &str) -> Vec<String> {
    let members = groups.iter().filter(|it| it.name == group);
    let members = members.flat_map(|group| &group.members);
    let passive = members.filter(|member| !member.is_active());
    passive.map(|member| member.name().to_owned()).collect()
}

/// Names that follow from the groups of the namespace that is meant.
fn groups(
    common: &[String],
    names: impl Fn(&[Group]) -> Vec<String>,
) -> Result<Vec<String>, Failure> {
    let words = ["kubectl-active_passive", "status"].map(str::to_owned);
    let words = words.into_iter().chain(common.iter().cloned());
    let Ok(args) = Args::try_parse_from(words) else {
        return Ok(Vec::new());
    };
    let common = Common {
        request_timeout: REQUEST_TIMEOUT,
        ..args.common
    };
    crate::wait_for(async {
        let cluster = connect(&common).await?;
        let gathered = gather(&cluster, Some(&cluster.namespace)).await?;
        Ok(names(&gathered.groups))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What may stand at the end of this line, without what it means.
    fn place(line: &str) -> Place {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let (last, before) = words.split_last().unwrap();
        match Line::read(before).place(last) {
            Place::OneOf(offers) => {
                let name = |it: &String| it.split('\t').next().unwrap_or_default().to_owned();
                Place::OneOf(offers.iter().map(name).collect())
            }
            place => place,
        }
    }

    fn lines(words: &[&str]) -> String {
        let words: Vec<String> = words.iter().map(|it| (*it).to_owned()).collect();
        answer(&words)
    }

    #[test]
    fn what_is_offered_fits_its_place() {
        let formats = ["wide", "json", "yaml", "name"].map(str::to_owned);
        let pod = Place::Pod("web".to_owned());
        for (line, expected) in [
            ("status ", Place::Group),
            ("-n shop status ", Place::Group),
            ("status web ", Place::Free),
            ("status -o ", Place::OneOf(formats.to_vec())),
            ("switchover web --wait --to ", pod),
            ("switchover --timeout 3s ", Place::Group),
            ("inject -f ", Place::File),
            ("status -n ", Place::Free),
        ] {
            assert_eq!(place(line), expected, "{line}");
        }
    }

    #[test]
    fn kubectl_reads_a_line_each_and_what_follows() {
        let words = "switchover\tAsk the active pod to hand its role over\n:4\n";
        assert_eq!(lines(&["sw"]), words);
        let flags = lines(&["status", "--all"]);
        assert_eq!(flags, "--all-namespaces\tAll namespaces\n:4\n");
        assert_eq!(lines(&["inject", "-f", ""]), ":0\n");
        assert_eq!(
            lines(&["nonsense", "--nonsense", ""]).lines().last(),
            Some(":4")
        );
        assert_eq!(lines(&[]), ":4\n");
    }

    #[test]
    fn the_cluster_that_is_meant_is_asked() {
        let words = ["-n", "shop", "status", "--context=c"].map(str::to_owned);
        let line = Line::read(&words);
        assert_eq!(line.common, ["--namespace", "shop", "--context", "c"]);
        assert!(asked(Some(&OsString::from(
            "/usr/bin/kubectl_complete-active_passive"
        ))));
        assert!(!asked(Some(&OsString::from("kubectl-active_passive"))));
    }
}
