//! What the demo prints: short lines, tables, colours only on a terminal.

use std::fmt::Display;
use std::io::IsTerminal;

use crate::progress;

/// Width of the column that names steps and figures.
const NAME_CHARS: usize = 15;
/// Width of a time since the trigger of an event.
const TIME_CHARS: usize = 7;

/// How a text is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// Neither good nor bad.
    Plain,
    /// As promised.
    Good,
    /// Not as one would wish.
    Bad,
    /// Less important.
    Dim,
    /// A heading.
    Bold,
}

/// Standard output, with or without colours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Screen {
    colours: bool,
}

impl Screen {
    /// Colours on a terminal, unless NO_COLOR is set.
    pub(super) fn new() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none();
        Self {
            colours: wanted && std::io::stdout().is_terminal(),
        }
    }

    /// `text` in its tone.
    pub(super) fn paint(self, tone: Tone, text: impl Display) -> String {
        let code = match tone {
            Tone::Plain => return text.to_string(),
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Dim => "2",
            Tone::Bold => "1",
        };
        if self.colours {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_string()
        }
    }

    /// A line of its own.
    pub(super) fn line(self, text: impl Display) {
        progress::leave();
        println!("{text}");
    }

    /// Something less important.
    pub(super) fn note(self, text: impl Display) {
        self.line(format!("  {}", self.paint(Tone::Dim, text)));
    }

    /// Something that happens now, `elapsed_ms` after an event began.
    pub(super) fn moment(self, elapsed_ms: u64, what: impl Display) {
        let seconds = format!("{}.{} s", elapsed_ms / 1_000, elapsed_ms % 1_000 / 100);
        let time = self.paint(Tone::Dim, format!("{seconds:>TIME_CHARS$}"));
        self.line(format!("  {time}  {what}"));
    }

    /// A heading after an empty line.
    pub(super) fn heading(self, text: impl Display) {
        self.line(format!("\n{}", self.paint(Tone::Bold, text)));
    }

    /// A name and what there is to say about it.
    pub(super) fn fact(self, name: &str, text: impl Display) {
        let name = self.paint(Tone::Dim, format!("{name:<NAME_CHARS$}"));
        self.line(format!("  {name} {text}"));
    }

    /// A table with a heading row.
    pub(super) fn table(self, headings: &[&str], rows: &[Vec<(Tone, String)>]) {
        let widths: Vec<usize> = headings
            .iter()
            .enumerate()
            .map(|(column, heading)| {
                let cells = rows.iter().filter_map(|row| row.get(column));
                cells
                    .map(|(_, text)| text.chars().count())
                    .chain([heading.len()])
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let cell = |tone, text: &str, width: usize| {
            let padding = " ".repeat(width.saturating_sub(text.chars().count()) + 2);
            format!("{}{padding}", self.paint(tone, text))
        };
        let heads = headings
            .iter()
            .zip(&widths)
            .map(|(text, width)| cell(Tone::Dim, text, *width));
        self.line(format!("  {}", heads.collect::<String>().trim_end()));
        for row in rows {
            let cells = row
                .iter()
                .zip(&widths)
                .map(|((tone, text), width)| cell(*tone, text, *width));
            self.line(format!("  {}", cells.collect::<String>().trim_end()));
        }
    }
}

impl Default for Screen {
    fn default() -> Self {
        Self::new()
    }
}

/// Milliseconds as people read them: `43 ms`, `15.2 s`.
pub(super) fn duration(ms: u64) -> String {
    if ms < 1_000 {
        format!("{ms} ms")
    } else {
        format!("{}.{} s", ms / 1_000, ms % 1_000 / 100)
    }
}
