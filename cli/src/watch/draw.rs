//! Draws the screen. Pure: equal screens, groups and times, equal pictures.

use super::screen::{Question, Screen};
use super::teller::Told;
use crate::age::span;
use crate::live::{Phase, Shown, Snapshot, Track};
use crate::{list, status};
use common::contract;
use k8s_openapi::jiff::Timestamp;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Borders, Paragraph, Row, Table, TableState, Wrap};
use std::sync::Arc;

/// Time that the lanes of a group show, milliseconds.
const LANES_MS: i64 = 10 * 60 * 1_000;
/// Lines that the changes get below the groups, with their title.
const TOLD_LINES: u16 = 8;
/// Widest name of a pod before a lane.
const NAME_MAX: usize = 40;

const ACTIVE: Color = Color::Blue;
const BAD: Color = Color::Red;
const WARN: Color = Color::Yellow;

/// What a picture shows.
pub(super) struct View<'a> {
    pub(super) snapshot: &'a Snapshot,
    /// Namespace and cluster.
    pub(super) place: &'a str,
    /// Namespaces are shown.
    pub(super) with_namespace: bool,
    pub(super) now: Timestamp,
}

impl View<'_> {
    /// Of when what is shown is.
    fn seen(&self) -> Timestamp {
        self.snapshot.seen_at(self.now)
    }
}

fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

/// Draws it.
pub(super) fn draw(frame: &mut Frame<'_>, screen: &Screen, view: &View<'_>) {
    let groups = &*screen.listed(view.snapshot);
    let notes = u16::try_from(view.snapshot.unseen.len()).unwrap_or(u16::MAX);
    let [head, unseen, body, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(notes),
        Constraint::Fill(1),
        Constraint::Length(2),
    ])
    .areas(frame.area());
    title(frame, head, screen, view);
    let unseen_lines = view.snapshot.unseen.iter();
    let unseen_lines: Vec<Line<'_>> = unseen_lines
        .map(|why| Line::styled(format!("note: {why}"), WARN))
        .collect();
    frame.render_widget(Text::from(unseen_lines), unseen);
    let index = screen.index(groups);
    match index.and_then(|index| groups.get(index)) {
        Some(shown) if screen.is_open => in_depth(frame, body, shown, view),
        found => {
            let [list, below] =
                Layout::vertical([Constraint::Fill(1), Constraint::Length(TOLD_LINES)]).areas(body);
            match found {
                Some(_) => table(frame, list, groups, index, view),
                None => nothing(frame, list, screen, view),
            }
            told(frame, below, screen);
        }
    }
    foot_lines(frame, foot, screen);
}

/// What is left out is said here: the search, and of how many groups it leaves how many.
fn title(frame: &mut Frame<'_>, area: Rect, screen: &Screen, view: &View<'_>) {
    let Snapshot {
        complete,
        contact,
        groups,
        ..
    } = view.snapshot;
    let old_ms = view.now.as_millisecond() - contact.seen_until_ms;
    let state = match (&contact.lost, complete) {
        (Some(_), _) => {
            let old = span(u64::try_from(old_ms / 1_000).unwrap_or(0));
            Span::styled(format!("○ reconnecting, data {old} old "), BAD)
        }
        (None, false) => Span::styled("○ connecting ", dim()),
        (None, true) => Span::styled("● live ", ACTIVE),
    };
    let width = u16::try_from(state.width()).unwrap_or(u16::MAX);
    let [left, right] =
        Layout::horizontal([Constraint::Fill(1), Constraint::Length(width)]).areas(area);
    let name = Span::styled(" active-passive  ", Modifier::BOLD);
    let filter = &screen.filter;
    let all = match groups.len() {
        1 => "1 group".to_owned(),
        all => format!("{all} groups"),
    };
    let (search, count) = if filter.is_typed || filter.is_set() {
        let left = screen.listed(view.snapshot).len();
        (format!("/{}", filter.text()), format!("  {left} of {all}"))
    } else {
        (String::new(), all)
    };
    let search = Span::styled(search, Style::new().fg(WARN).add_modifier(Modifier::BOLD));
    if filter.is_typed {
        let typed = u16::try_from(name.width() + search.width()).unwrap_or(u16::MAX);
        let last = left.right().saturating_sub(1);
        let column = left.x.saturating_add(typed).min(last);
        frame.set_cursor_position((column, left.y));
    }
    let place = Span::styled(format!("  {}", view.place), dim());
    let parts = vec![name, search, Span::styled(count, dim()), place];
    frame.render_widget(Line::from(parts), left);
    frame.render_widget(Line::from(state), right);
}

fn nothing(frame: &mut Frame<'_>, area: Rect, screen: &Screen, view: &View<'_>) {
    let text = if !view.snapshot.groups.is_empty() {
        let words = screen.filter.text().trim();
        format!(
            "\n Nothing matches {words}: neither a group nor its namespace, workload, pods or \
             nodes.\n Esc shows all groups again."
        )
    } else if view.snapshot.complete {
        format!(
            "\n No groups yet. A pod template with the annotation {}: \"true\" makes one;\n it \
             appears here by itself.",
            contract::INJECT
        )
    } else {
        "\n Reading Leases, pods and Services ...".to_owned()
    };
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: false }), area);
}

fn table(
    frame: &mut Frame<'_>,
    area: Rect,
    groups: &[Arc<Shown>],
    index: Option<usize>,
    view: &View<'_>,
) {
    let mut titles: Vec<&str> = Vec::new();
    titles.extend(view.with_namespace.then_some("NAMESPACE"));
    titles.extend(list::TITLES);
    titles.push("WARNINGS");
    let cells = |shown: &Arc<Shown>| {
        let group = &shown.group;
        let mut cells: Vec<String> = Vec::new();
        cells.extend(view.with_namespace.then(|| group.namespace.clone()));
        cells.extend(list::line(group, view.seen()));
        cells.push(list::warnings(group, view.seen()));
        cells
    };
    let lines: Vec<Vec<String>> = groups.iter().map(cells).collect();
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.max().unwrap_or(0).max(titles[column].len())
    };
    let length = |column| Constraint::Length(u16::try_from(width(column)).unwrap_or(u16::MAX));
    // What there is no room for is missing at the end.
    let widths = (0..titles.len() - 1).map(length);
    let widths: Vec<Constraint> = widths.chain([Constraint::Fill(1)]).collect();
    let rows = groups.iter().zip(&lines).map(|(shown, line)| {
        let style = if shown.leaderless {
            Style::new().fg(BAD)
        } else {
            Style::new()
        };
        Row::new(line.clone()).style(style)
    });
    let table = Table::new(rows, widths)
        .column_spacing(2)
        .header(Row::new(titles.clone()).style(dim()))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
        .highlight_symbol(" ");
    let mut state = TableState::new().with_selected(index);
    frame.render_stateful_widget(table, area, &mut state);
}

/// The newest first.
fn told(frame: &mut Frame<'_>, area: Rect, screen: &Screen) {
    let block = Block::new()
        .borders(Borders::TOP)
        .title(" Changes ")
        .border_style(dim());
    let line = |(at, told): &(Timestamp, Told)| {
        let about = told.about.as_deref().unwrap_or("");
        let style = if told.is_move {
            Style::new().fg(ACTIVE)
        } else {
            Style::new()
        };
        Line::from(vec![
            Span::styled(format!(" {} UTC ", at.strftime("%H:%M:%S")), dim()),
            Span::styled(format!("{about} "), Modifier::BOLD),
            Span::styled(told.text.clone(), style),
        ])
    };
    let lines: Vec<Line<'_>> = match screen.told.is_empty() {
        true => vec![Line::styled(" none since this began", dim())],
        false => screen.told.iter().rev().map(line).collect(),
    };
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// What `status` says, and who was what in the last minutes.
fn in_depth(frame: &mut Frame<'_>, area: Rect, shown: &Shown, view: &View<'_>) {
    let said = status::one(&shown.group, None, view.seen()).unwrap_or_default();
    let mut lines: Vec<Line<'_>> = vec![Line::default()];
    lines.extend(said.lines().map(|line| {
        let style = if line.starts_with("  ") && !line.is_empty() {
            Style::new().fg(WARN)
        } else if line.contains("   active ") {
            Style::new().fg(ACTIVE)
        } else {
            Style::new()
        };
        Line::styled(format!(" {line}"), style)
    }));
    lines.push(Line::default());
    let minutes = LANES_MS / 60_000;
    lines.push(Line::styled(
        format!(" Last {minutes} minutes"),
        Modifier::BOLD,
    ));
    let there = shown.tracks.iter().filter(|track| {
        let gone = track.phase() == Some(Phase::Gone);
        let last_ms = track.spans.last().map_or(0, |it| it.0);
        !gone || last_ms > view.seen().as_millisecond() - LANES_MS
    });
    let there: Vec<&Track> = there.collect();
    let name = there.iter().map(|track| track.pod.chars().count()).max();
    let name = name.unwrap_or(0).min(NAME_MAX);
    for track in there {
        let room = usize::from(area.width).saturating_sub(name + 4);
        let mut parts = vec![Span::raw(format!(" {:name$.name$}  ", track.pod))];
        parts.extend(lane(track, room, view.seen()));
        lines.push(Line::from(parts));
    }
    lines.push(Line::styled(
        " █ active  ─ standby  ╌ not ready  ▒ draining  · before this began",
        dim(),
    ));
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), area);
}

fn lane(track: &Track, room: usize, now: Timestamp) -> Vec<Span<'static>> {
    let end_ms = now.as_millisecond();
    let cells = i64::try_from(room.max(1)).unwrap_or(1);
    let at = |cell: i64| {
        // The later half of what a cell stands for: the last one is now.
        let at_ms = end_ms - LANES_MS + LANES_MS * (cell + 1) / cells;
        let spans = track.spans.iter().rev();
        let mut spans = spans.skip_while(|(from_ms, _)| *from_ms > at_ms);
        spans.next().map_or(Phase::Gone, |(_, phase)| *phase)
    };
    (0..cells)
        .map(|cell| match at(cell) {
            Phase::Active => Span::styled("█", ACTIVE),
            Phase::ActiveUnready => Span::styled("█", WARN),
            Phase::ActiveDraining => Span::styled("▓", ACTIVE),
            Phase::Standby => Span::styled("─", dim()),
            Phase::Unready => Span::styled("╌", WARN),
            Phase::Draining => Span::styled("▒", dim()),
            Phase::Unwatched => Span::styled("·", dim()),
            Phase::Gone => Span::raw(" "),
        })
        .collect()
}

fn foot_lines(frame: &mut Frame<'_>, area: Rect, screen: &Screen) {
    let bold = |text: String| Span::styled(text, Modifier::BOLD);
    let first = match (&screen.question, &screen.answer, screen.under_way) {
        (Some(Question::Switchover { key, pods, choice }), _, _) => {
            let mut parts = vec![bold(format!(" Switch over {} to ", key.1))];
            let choices = std::iter::once("the best pod").chain(pods.iter().map(String::as_str));
            for (index, name) in choices.enumerate() {
                let style = if index == *choice {
                    Style::new().add_modifier(Modifier::REVERSED)
                } else {
                    Style::new()
                };
                parts.push(Span::styled(format!(" {name} "), style));
            }
            Line::from(parts)
        }
        (Some(Question::Pause { key, pause }), _, _) => {
            let name = &key.1;
            Line::from(bold(if *pause {
                format!(" Pause {name}? The role stays where it is, also when the active pod fails")
            } else {
                format!(" Resume {name}? The role may move again")
            }))
        }
        (None, _, 1..) => Line::from(" Waiting for the answer ..."),
        (None, Some((text, good)), 0) => {
            Line::styled(format!(" {text}"), if *good { ACTIVE } else { BAD })
        }
        (None, None, 0) => Line::default(),
    };
    let second = Line::styled(format!(" {}", keys(screen)), dim());
    frame.render_widget(Text::from(vec![first, second]), area);
}

/// What can be pressed now, within 80 columns.
fn keys(screen: &Screen) -> &'static str {
    match &screen.question {
        Some(Question::Switchover { .. }) => "←→ choose   enter does it   esc leaves it",
        Some(Question::Pause { .. }) => "enter does it   esc leaves it",
        None if screen.filter.is_typed => "type what to look for   enter keeps it   esc shows all",
        None if screen.is_open => {
            "↑↓ next group   esc back   s switchover   p pause/resume   q quit"
        }
        None if screen.filter.is_set() => {
            "↑↓ select   enter details   esc shows all   s switchover   p pause   q quit"
        }
        None => "↑↓ select   enter details   / search   s switchover   p pause/resume   q quit",
    }
}
