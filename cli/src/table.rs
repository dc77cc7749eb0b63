//! Tables as kubectl prints them: columns in capitals, three spaces between them.

const GAP: &str = "   ";

/// A table that grows line by line. Cells that are empty are shown as `-`.
#[derive(Debug)]
pub(crate) struct Table {
    lines: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(titles: &[&str]) -> Self {
        let titles = titles.iter().map(|title| (*title).to_owned()).collect();
        Self {
            lines: vec![titles],
        }
    }

    pub(crate) fn line(&mut self, cells: impl IntoIterator<Item = String>) {
        let shown = |cell: String| {
            if cell.is_empty() {
                "-".to_owned()
            } else {
                cell
            }
        };
        self.lines.push(cells.into_iter().map(shown).collect());
    }

    /// The text, each line ending in a line feed and in nothing before it.
    pub(crate) fn text(&self) -> String {
        let columns = self.lines.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.lines.iter().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for line in &self.lines {
            let cells = line.iter().zip(&widths);
            let padded: Vec<String> = cells
                .map(|(cell, &width)| format!("{cell:width$}"))
                .collect();
            text.push_str(padded.join(GAP).trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["POD", "ROLE"]);
        table.line(["web-1".to_owned(), "active".to_owned()]);
        table.line(["ü".to_owned(), String::new()]);
        assert_eq!(table.text(), "POD     ROLE\nweb-1   active\nü       -\n");
    }
}
