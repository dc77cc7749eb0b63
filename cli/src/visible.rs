//! Text from a cluster, made safe to print: whoever may write an object may write into it what a
//! terminal obeys, and what turns the order of letters around.

/// Stands for a character that is not shown.
const HIDDEN: char = char::REPLACEMENT_CHARACTER;

/// One value: it stays within its line.
pub(crate) fn line(value: &str) -> String {
    replaced(value, is_hidden)
}

/// What this program prints, line by line.
pub(crate) fn text(printed: &str) -> String {
    replaced(printed, |it| it != '\n' && is_hidden(it))
}

fn replaced(text: &str, is_hidden: impl Fn(char) -> bool) -> String {
    let shown = |it: char| if is_hidden(it) { HIDDEN } else { it };
    text.chars().map(shown).collect()
}

/// Control characters, and Unicode's format characters and separators of lines.
fn is_hidden(it: char) -> bool {
    it.is_control()
        || matches!(
            it,
            '\u{ad}'
                | '\u{600}'..='\u{605}'
                | '\u{61c}'
                | '\u{6dd}'
                | '\u{70f}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_replaced() {
        let evil = "\x1b[2Jü\u{9b}m\u{202e}a\r\u{2066}b\u{200b}c\u{7f}\u{feff}";
        assert_eq!(
            line(evil),
            "\u{fffd}[2Jü\u{fffd}m\u{fffd}a\u{fffd}\u{fffd}b\u{fffd}c\u{fffd}\u{fffd}"
        );
        assert_eq!(line("a\nb\tc"), "a\u{fffd}b\u{fffd}c");
        assert_eq!(text("a\nb\rc\n"), "a\nb\u{fffd}c\n");
        let kept = "web-1 — „grün“ 한국어 \u{1f600}";
        assert_eq!(line(kept), kept);
    }
}
