//! Command line flags as Go's programs take them: `-name value`, `-name=value`, with one dash or two.

use std::collections::BTreeMap;

/// What was given, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flags<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Flags<'a> {
    /// Reads all arguments. Those of `switches` need no value.
    ///
    /// # Errors
    /// What Go's own reader says of the first one that it does not know, or that lacks its value.
    pub fn read(arguments: &[&'a str], known: &[&str], switches: &[&str]) -> Result<Self, String> {
        let mut given = BTreeMap::new();
        let mut rest = arguments.iter().copied();
        while let Some(argument) = rest.next() {
            let Some(flag) = name(argument) else {
                return Err(format!("unexpected argument {argument:?}"));
            };
            let (flag, value) = match flag.split_once('=') {
                Some((flag, value)) => (flag, Some(value)),
                None => (flag, None),
            };
            let is_switch = switches.contains(&flag);
            if !is_switch && !known.contains(&flag) {
                return Err(format!("flag provided but not defined: -{flag}"));
            }
            let value = match value {
                Some(value) => value,
                None if is_switch => "true",
                None => rest
                    .next()
                    .ok_or_else(|| format!("flag needs an argument: -{flag}"))?,
            };
            given.insert(flag, value);
        }
        Ok(Self(given))
    }

    /// The value of a flag, if it was given one that is not empty.
    #[must_use]
    pub fn get(&self, flag: &str) -> Option<&'a str> {
        self.0.get(flag).copied().filter(|value| !value.is_empty())
    }
}

/// Whether any of these flags is among the arguments.
#[must_use]
pub fn any(arguments: &[&str], flags: &[&str]) -> bool {
    let flag = |argument: &&str| {
        let flag = name(argument)?;
        Some(
            flag.split_once('=')
                .map_or(flag, |(flag, _)| flag)
                .to_owned(),
        )
    };
    arguments
        .iter()
        .filter_map(flag)
        .any(|flag| flags.contains(&flag.as_str()))
}

/// A flag, with its value if that follows in the same argument.
fn name(argument: &str) -> Option<&str> {
    let flag = argument.strip_prefix('-')?;
    let flag = flag.strip_prefix('-').unwrap_or(flag);
    (!flag.is_empty()).then_some(flag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_as_go_reads_them() {
        let read = |arguments: &[&'static str]| Flags::read(arguments, &["name", "time"], &["on"]);
        for arguments in [
            &["--name=web", "-time", "5s", "-on"][..],
            &["-name", "web", "--time=5s", "--on=true"],
        ] {
            let flags = read(arguments).unwrap();
            let values = ["name", "time", "on"].map(|flag| flags.get(flag));
            assert_eq!(
                values,
                [Some("web"), Some("5s"), Some("true")],
                "{arguments:?}"
            );
        }
        let error = |arguments: &[&'static str]| read(arguments).unwrap_err();
        assert_eq!(error(&["--age=5"]), "flag provided but not defined: -age");
        assert_eq!(error(&["-name"]), "flag needs an argument: -name");
        assert!(error(&["web"]).contains("web"));
        assert!(any(&["x", "--name=web"], &["name"]) && !any(&["name", "-on"], &["name"]));
    }
}
