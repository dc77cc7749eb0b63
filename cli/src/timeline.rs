//! A picture of who was active when: SVG, drawn from the moves that the Lease remembers.
//!
//! A row a pod, a bar while it held the role, and red while the role was on its way. Moves are numbered, and
//! listed below. Follows the colours of whoever looks at it, light or dark. Equal moves and times
//! make equal pictures.

mod scale;

use crate::age::took;
use common::history::Entry;
use k8s_openapi::jiff::Timestamp;
use scale::Scale;

/// Width of the picture; all lengths are in its units, which browsers show as pixels.
const WIDTH: f64 = 960.0;
const MARGIN: f64 = 24.0;
/// Of one character of a label, on average.
const LETTER: f64 = 7.2;
const LABEL_LETTERS_MAX: usize = 34;
const ROW: f64 = 30.0;
const BAR: f64 = 18.0;
/// Shortest bar that can be seen.
const BAR_WIDTH_MIN: f64 = 2.0;
/// Where the numbers of moves stand, and the rows begin.
const NUMBERS_Y: f64 = 84.0;
const ROWS_Y: f64 = 112.0;
/// Between two numbers.
const NUMBERS_GAP: f64 = 20.0;
const LINE: f64 = 20.0;
/// Characters of a column of the list, in letters: number, time, took, why, pod.
const COLUMNS: [f64; 5] = [0.0, 4.0, 29.0, 37.0, 51.0];

/// Without variables, which many viewers do not know.
const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#1c2430}.dim{fill:#5b6675}\
.title{font-size:17px;font-weight:600}.small{font-size:11px}.mid{text-anchor:middle}\
.back{fill:#fff}.rule{stroke:#dde2e9}.bar{fill:#2563c9}.none{fill:#d43c3c}\
.number{fill:#fff;stroke:#2563c9}.lead{stroke:#5b6675;fill:none}\
@media(prefers-color-scheme:dark){text{fill:#e8ecf2}.dim{fill:#9aa6b5}.back{fill:#151a21}\
.rule{stroke:#333c49}.bar{fill:#6aa2ff}.none{fill:#ff7676}\
.number{fill:#151a21;stroke:#6aa2ff}.lead{stroke:#9aa6b5}}";

/// Whose history it is.
pub(crate) struct Subject<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) group: &'a str,
    /// Until when the last one is known to have had the role.
    pub(crate) until: Timestamp,
    /// When the picture is made.
    pub(crate) now: Timestamp,
}

/// A time in which one pod had the role, milliseconds since 1970.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reign<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
    /// From when on nobody had it before.
    nobody_from_ms: i64,
}

/// The picture. `None` if no entry has a time that can be read.
pub(crate) fn svg(entries: &[Entry], subject: &Subject<'_>) -> Option<String> {
    let reigns = reigns(entries, subject.until);
    let first = reigns.first()?;
    let mut pods: Vec<&str> = reigns.iter().map(|it| it.entry.pod.as_str()).collect();
    pods.sort_unstable();
    pods.dedup();
    let letters = pods.iter().map(|pod| short(pod).chars().count()).max()?;
    #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
    let left = MARGIN + letters as f64 * LETTER + 16.0;
    let now_ms = subject.now.as_millisecond();
    let scale = Scale::new((first.from_ms, now_ms), (left, WIDTH - MARGIN));
    let bottom = ROWS_Y + rows(pods.len());
    let list = bottom + 56.0;
    let height = list + (rows(reigns.len() + 1) / ROW) * LINE;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" \
         height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         role=\"img\" aria-labelledby=\"t\"><title id=\"t\">Who was active in group {group}\
         </title><style>{STYLE}</style><rect class=\"back\" width=\"{WIDTH}\" \
         height=\"{height}\"/>\n",
        group = escaped(subject.group)
    );
    text.push_str(&head(subject));
    text.push_str(&axis(&scale, bottom));
    text.push_str(&bars(&reigns, &pods, &scale, subject));
    text.push_str(&numbers(&reigns, &scale));
    text.push_str(&moves(&reigns, list));
    text.push_str("</svg>\n");
    Some(text)
}

/// The times in which pods had the role, the oldest first; the last one `until` then.
pub(crate) fn reigns(entries: &[Entry], until: Timestamp) -> Vec<Reign<'_>> {
    let at_ms = |entry: &Entry| Some(entry.at.parse::<Timestamp>().ok()?.as_millisecond());
    let known: Vec<(&Entry, i64)> = entries
        .iter()
        .filter_map(|entry| Some((entry, at_ms(entry)?)))
        .collect();
    let gap_ms = |entry: &Entry| i64::try_from(entry.duration_ms.unwrap_or(0)).unwrap_or(0);
    let reign = |(index, &(entry, from_ms)): (usize, &(_, i64))| {
        let next = known.get(index + 1);
        let to_ms = next.map_or_else(
            || until.as_millisecond(),
            |(next, at_ms)| at_ms - gap_ms(next),
        );
        Reign {
            entry,
            from_ms,
            // Clocks differ from pod to pod.
            to_ms: to_ms.max(from_ms),
            nobody_from_ms: from_ms - if index == 0 { 0 } else { gap_ms(entry) },
        }
    };
    known.iter().enumerate().map(reign).collect()
}

fn rows(count: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
    let rows = count as f64;
    rows * ROW
}

fn head(subject: &Subject<'_>) -> String {
    format!(
        "<text class=\"title\" x=\"{MARGIN}\" y=\"34\">{} in namespace {}</text>\
         <text class=\"dim\" x=\"{MARGIN}\" y=\"56\">who was active, until {} (UTC)</text>\n",
        escaped(subject.group),
        escaped(subject.namespace),
        subject.now.strftime("%Y-%m-%d %H:%M:%S")
    )
}

fn axis(scale: &Scale, bottom: f64) -> String {
    let mut text = String::new();
    for (x, label) in scale.ticks() {
        text.push_str(&format!(
            "<path class=\"rule\" d=\"M{x:.1} {ROWS_Y}V{bottom}\"/>\
             <text class=\"dim small mid\" x=\"{x:.1}\" y=\"{y}\">{label}</text>\n",
            y = bottom + 16.0
        ));
    }
    text
}

fn bars(reigns: &[Reign<'_>], pods: &[&str], scale: &Scale, subject: &Subject<'_>) -> String {
    let mut text = String::new();
    for (row, pod) in pods.iter().enumerate() {
        let y = ROWS_Y + rows(row);
        text.push_str(&format!(
            "<text x=\"{MARGIN}\" y=\"{:.1}\">{}<title>{}</title></text>\n",
            y + ROW / 2.0 + 4.5,
            escaped(&short(pod)),
            escaped(pod)
        ));
    }
    let row = |pod: &str| pods.iter().position(|it| *it == pod).unwrap_or(0);
    let rect = |class: &str, from_ms: i64, to_ms: i64, row: usize, told: &str| {
        let (x, to) = (scale.x(from_ms), scale.x(to_ms));
        format!(
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{BAR}\" \
             rx=\"2\"><title>{}</title></rect>\n",
            ROWS_Y + rows(row) + (ROW - BAR) / 2.0,
            (to - x).max(BAR_WIDTH_MIN),
            escaped(told)
        )
    };
    let length = |from_ms: i64, to_ms: i64| took(u64::try_from(to_ms - from_ms).unwrap_or(0));
    for reign in reigns {
        let row = row(&reign.entry.pod);
        if reign.nobody_from_ms < reign.from_ms {
            let told = format!(
                "the role was on its way for {}",
                length(reign.nobody_from_ms, reign.from_ms)
            );
            text.push_str(&rect(
                "none",
                reign.nobody_from_ms,
                reign.from_ms,
                row,
                &told,
            ));
        }
        let told = format!(
            "{}, term {}, for {}",
            reign.entry.pod,
            reign.entry.term,
            length(reign.from_ms, reign.to_ms)
        );
        text.push_str(&rect("bar", reign.from_ms, reign.to_ms, row, &told));
    }
    if let Some(last) = reigns.last() {
        let now_ms = subject.now.as_millisecond();
        if last.to_ms < now_ms {
            let told = format!("nobody, for {}", length(last.to_ms, now_ms));
            let row = row(&last.entry.pod);
            text.push_str(&rect("none", last.to_ms, now_ms, row, &told));
        }
    }
    text
}

/// A number over each move, as near as the others let it.
fn numbers(reigns: &[Reign<'_>], scale: &Scale) -> String {
    let places: Vec<f64> = reigns.iter().map(|it| scale.x(it.from_ms)).collect();
    let spread = scale::apart(&places, NUMBERS_GAP, WIDTH - MARGIN);
    let mut text = String::new();
    for (index, (place, x)) in places.iter().zip(spread).enumerate() {
        text.push_str(&format!(
            "<path class=\"lead\" d=\"M{x:.1} {}L{place:.1} {ROWS_Y}\"/>\
             <circle class=\"number\" cx=\"{x:.1}\" cy=\"{NUMBERS_Y}\" r=\"9\"/>\
             <text class=\"small mid\" x=\"{x:.1}\" y=\"{}\">{}</text>\n",
            NUMBERS_Y + 9.0,
            NUMBERS_Y + 4.0,
            index + 1
        ));
    }
    text
}

/// The list below.
fn moves(reigns: &[Reign<'_>], top: f64) -> String {
    let mut text = String::new();
    let mut line = |index: usize, class: &str, cells: [&str; COLUMNS.len()]| {
        let y = top + rows(index) / ROW * LINE;
        for (column, cell) in COLUMNS.iter().zip(cells) {
            let x = MARGIN + column * LETTER;
            let cell = escaped(cell);
            text.push_str(&format!(
                "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{cell}</text>"
            ));
        }
        text.push('\n');
    };
    line(0, "dim", ["", "AT (UTC)", "TOOK", "WHY", "ACTIVE"]);
    for (index, reign) in reigns.iter().enumerate() {
        let entry = reign.entry;
        let at = Timestamp::from_millisecond(reign.from_ms).unwrap_or_default();
        let took = entry.duration_ms.map(took).unwrap_or_default();
        let number = (index + 1).to_string();
        let at = at.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string();
        line(
            index + 1,
            "",
            [&number, &at, &took, &entry.kind, &entry.pod],
        );
    }
    text
}

/// A name that fits its place: its end tells pods apart.
fn short(pod: &str) -> String {
    let letters = pod.chars().count();
    if letters <= LABEL_LETTERS_MAX {
        return pod.to_owned();
    }
    let end: String = pod.chars().skip(letters - LABEL_LETTERS_MAX + 1).collect();
    format!("…{end}")
}

fn escaped(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;");
    escaped.replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests;
