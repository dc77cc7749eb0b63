//! A picture of the demo: which pod answered the requests when, a field an event. SVG, which follows
//! the colours of whoever looks at it, light or dark.

use std::fmt::Write;

use super::screen::duration;
use super::show::Performed;
use crate::observe::Answer;

/// Size of the picture; browsers show its lengths as pixels.
const WIDTH: f64 = 960.0;
const MARGIN: f64 = 28.0;
/// Two fields beside each other, and what is between them.
const COLUMNS: usize = 2;
const GAP: f64 = 44.0;
const HEAD: f64 = 96.0;
/// A field: its title, its rows, its axis.
const FIELD_HEAD: f64 = 56.0;
const ROW: f64 = 30.0;
const BAR: f64 = 16.0;
const AXIS: f64 = 50.0;
/// Where names end and bars begin, from the left of a field.
const NAMES: f64 = 92.0;
/// Shortest bar that can be seen.
const BAR_MIN: f64 = 1.5;
/// Answers that follow each other this fast are one bar, milliseconds: several requests.
const TOGETHER_MS: u64 = 60;
/// What is shown before the event, milliseconds.
const BEFORE_MS: u64 = 1_000;
/// Time between ticks, seconds, and up to which length of the axis.
const TICKS_S: [(u64, u64); 3] = [(1, 8), (2, 15), (5, u64::MAX)];
/// Name of the row of requests that failed.
const NOBODY: &str = "no answer";

const STYLE: &str = "\
text{font:13px system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;fill:#1c2430}\
.dim{fill:#5b6675}.title{font-size:19px;font-weight:600}.event{font-size:15px;font-weight:600}\
.small{font-size:11px}.mid{text-anchor:middle}.end{text-anchor:end}.back{fill:#fff}\
.rule{stroke:#e3e7ed}.now{stroke:#1c2430;stroke-dasharray:3 3}.lane{fill:#f2f4f8}\
.first{fill:#2563c9}.next{fill:#1a8a5f}.nobody{fill:#d43c3c}\
@media(prefers-color-scheme:dark){text{fill:#e8ecf2}.dim{fill:#9aa6b5}.back{fill:#151a21}\
.rule{stroke:#2c343f}.now{stroke:#e8ecf2}.lane{fill:#1d242d}\
.first{fill:#6aa2ff}.next{fill:#45c290}.nobody{fill:#ff7676}}";

/// A time in which one pod answered, or nobody did; milliseconds.
type Span = (u64, u64);

/// The picture of these events.
pub(super) fn svg(performed: &[Performed]) -> String {
    let fields: Vec<Field<'_>> = performed.iter().map(Field::new).collect();
    let mut body = String::new();
    let mut top = HEAD;
    for line in fields.chunks(COLUMNS) {
        for (column, field) in line.iter().enumerate() {
            field.draw(&mut body, (MARGIN + number(column) * (width() + GAP), top));
        }
        let heights = line.iter().map(Field::height);
        top += heights.fold(0.0, f64::max);
    }
    let height = top + 8.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"t\"><title id=\"t\">Which \
         pod answered requests to one Service, while the active pod was deleted, rolled out, killed \
         and cut off</title><style>{STYLE}</style><rect class=\"back\" width=\"{WIDTH}\" \
         height=\"{height}\" rx=\"8\"/>\n\
         <text class=\"title\" x=\"{MARGIN}\" y=\"42\">Of three pods one serves, and another one \
         follows it</text>\n\
         <text class=\"dim\" x=\"{MARGIN}\" y=\"66\">200 requests a second to one Service of a real \
         cluster (make demo): a bar is a pod that answers</text>\n{body}</svg>\n"
    )
}

/// Width of a field.
fn width() -> f64 {
    let gaps = number(COLUMNS - 1) * GAP;
    (WIDTH - 2.0 * MARGIN - gaps) / number(COLUMNS)
}

/// Small enough to be exact.
fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

/// One event.
struct Field<'a> {
    performed: &'a Performed,
    /// Pods that answered, in the order in which they did so first, and what nobody answered.
    rows: Vec<(&'a str, Vec<Span>)>,
    /// What the axis shows.
    from_ms: u64,
    to_ms: u64,
}

impl<'a> Field<'a> {
    fn new(performed: &'a Performed) -> Self {
        let from_ms = performed.trigger_ms.saturating_sub(BEFORE_MS);
        let mut answers: Vec<&Answer> = performed.answers.iter().collect();
        answers.sort_by_key(|answer| answer.sent_ms);
        answers.retain(|answer| answer.sent_ms >= from_ms);
        let mut rows: Vec<(&str, Vec<Span>)> = Vec::new();
        let mut failed = Vec::new();
        for answer in &answers {
            let span = (answer.sent_ms, answer.ended_ms);
            let Some(pod) = answer.pod.as_deref() else {
                join(&mut failed, span);
                continue;
            };
            match rows.iter_mut().find(|(name, _)| *name == pod) {
                Some((_, spans)) => join(spans, span),
                None => rows.push((pod, vec![span])),
            }
        }
        rows.push((NOBODY, failed));
        let to_ms = answers.iter().map(|answer| answer.ended_ms).max();
        Self {
            performed,
            rows,
            from_ms,
            to_ms: to_ms.unwrap_or(performed.trigger_ms + BEFORE_MS),
        }
    }

    fn height(&self) -> f64 {
        FIELD_HEAD + number(self.rows.len()) * ROW + AXIS
    }

    /// Where a time is, from the left of the field.
    fn x(&self, at_ms: u64) -> f64 {
        let part = |ms: u64| number(usize::try_from(ms).unwrap_or(usize::MAX));
        let whole = part(self.to_ms.saturating_sub(self.from_ms).max(1));
        let passed = part(at_ms.saturating_sub(self.from_ms));
        NAMES + (width() - NAMES) * (passed / whole).min(1.0)
    }

    // Writing to a String cannot fail.
    fn draw(&self, text: &mut String, (left, top): (f64, f64)) {
        write!(text, "<g transform=\"translate({left:.1} {top:.1})\">").ok();
        let (title, said) = (self.performed.event.title(), self.said());
        write!(text, "<text class=\"event\" y=\"18\">{title}</text>").ok();
        write!(text, "<text class=\"dim\" y=\"38\">{said}</text>").ok();
        self.lanes(text);
        self.axis(text);
        text.push_str("</g>\n");
    }

    /// What came of it, in words.
    fn said(&self) -> String {
        let verdict = &self.performed.verdict;
        let moved = verdict.new_active_ms.map_or_else(
            || "the role stays, since the app is back in time".to_owned(),
            |ms| format!("another pod is active after {}", duration(ms)),
        );
        let (failed, requests) = (verdict.failed, verdict.requests);
        format!("{moved}; {failed} of {requests} requests fail")
    }

    fn lanes(&self, text: &mut String) {
        let last = self.rows.len() - 1;
        for (index, (name, spans)) in self.rows.iter().enumerate() {
            let y = FIELD_HEAD + number(index) * ROW;
            let class = match index {
                _ if index == last => "nobody",
                0 => "first",
                _ => "next",
            };
            let dim = if spans.is_empty() { " dim" } else { "" };
            let short = name.rsplit('-').next().unwrap_or(name);
            let label = if index == last { name } else { short };
            write!(
                text,
                "<text class=\"end{dim}\" x=\"{:.1}\" y=\"{:.1}\">{label}</text>\
                 <rect class=\"lane\" x=\"{NAMES}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{BAR}\" \
                 rx=\"3\"/>",
                NAMES - 10.0,
                y + BAR / 2.0 + 4.5,
                y,
                width() - NAMES,
            )
            .ok();
            for (from_ms, to_ms) in spans {
                let (x, to) = (self.x(*from_ms), self.x(*to_ms));
                let wide = (to - x).max(BAR_MIN);
                write!(
                    text,
                    "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" \
                     height=\"{BAR}\"/>"
                )
                .ok();
            }
        }
    }

    /// Seconds since the event, and a line where it was.
    fn axis(&self, text: &mut String) {
        let bottom = FIELD_HEAD + number(self.rows.len()) * ROW;
        let trigger_ms = self.performed.trigger_ms;
        let length_s = self.to_ms.saturating_sub(trigger_ms) / 1_000;
        let mut steps = TICKS_S.iter();
        let step = steps.find(|(_, up_to_s)| length_s <= *up_to_s);
        let step_s = step.map_or(1, |(step_s, _)| *step_s);
        for tick in 0..=length_s / step_s {
            let second = tick * step_s;
            let x = self.x(trigger_ms + second * 1_000);
            write!(
                text,
                "<text class=\"small dim mid\" x=\"{x:.1}\" y=\"{:.1}\">{second} s</text>",
                bottom + 14.0
            )
            .ok();
        }
        let x = self.x(trigger_ms);
        write!(
            text,
            "<path class=\"now\" d=\"M{x:.1} {:.1}V{:.1}\"/>",
            FIELD_HEAD - 8.0,
            bottom
        )
        .ok();
    }
}

/// Adds a time to those before it, which end with the last one.
fn join(spans: &mut Vec<Span>, (from_ms, to_ms): Span) {
    match spans.last_mut() {
        Some((_, end_ms)) if from_ms <= *end_ms + TOGETHER_MS => *end_ms = to_ms.max(*end_ms),
        _ => spans.push((from_ms, to_ms)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::events::Event;
    use super::*;
    use crate::observe::Verdict;
    use crate::scene::Active;

    fn performed() -> Performed {
        let answer = |sent_ms, pod: Option<&str>| Answer {
            sent_ms,
            ended_ms: sent_ms + 5,
            pod: pod.map(str::to_owned),
        };
        let old = (0..20).map(|n| answer(9_000 + n * 50, Some("web-1-old")));
        let none = [answer(10_020, None)];
        let new = (0..20).map(|n| answer(10_100 + n * 50, Some("web-1-new")));
        Performed {
            event: Event::Delete,
            verdict: Verdict {
                event: "delete".to_owned(),
                requests: 41,
                failed: 1,
                longest_gap_ms: 60,
                new_active_ms: Some(67),
                answers_not_active: 0,
            },
            active: Active {
                uid: "u".to_owned(),
                name: "web-1-new".to_owned(),
                node: "n1".to_owned(),
            },
            chosen_ms: None,
            trigger_ms: 10_000,
            answers: old.chain(none).chain(new).collect(),
        }
    }

    #[test]
    fn answers_that_follow_each_other_are_one_bar() {
        let performed = performed();
        let field = Field::new(&performed);
        let names: Vec<&str> = field.rows.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["web-1-old", "web-1-new", NOBODY]);
        assert_eq!(field.rows[0].1, [(9_000, 9_955)]);
        assert_eq!(field.rows[1].1, [(10_100, 11_055)]);
        assert_eq!(field.rows[2].1, [(10_020, 10_025)]);
        assert!(field.x(9_000) < field.x(10_000) && field.x(10_000) < field.x(11_055));
        assert!((field.x(u64::MAX) - width()).abs() < 0.1);
    }

    #[test]
    fn equal_runs_give_equal_pictures_that_say_what_happened() {
        let all = [performed(), performed(), performed()];
        let picture = svg(&all);
        assert_eq!(picture, svg(&all));
        let said = "another pod is active after 67 ms; 1 of 41 requests fail";
        assert_eq!(picture.matches(said).count(), 3);
        assert_eq!(picture.matches("<g ").count(), 3);
        assert!(picture.contains("prefers-color-scheme:dark"));
    }
}
