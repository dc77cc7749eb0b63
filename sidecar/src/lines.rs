//! Cuts a watch's stream of bytes into lines, each of which is one event.

/// Longest line, bytes: etcd takes objects of 1.5 MiB, and JSON makes them longer.
const LINE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// A buffer that a large event has left behind is given back above this size, bytes.
const KEPT_BYTES_MAX: usize = 16 * 1024;

/// A line that does not end.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("read an event of at most {LINE_BYTES_MAX} bytes")]
pub(crate) struct LineTooLong;

/// What has come and is no whole line yet.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    bytes: Vec<u8>,
    /// Start of the next line.
    start: usize,
    /// Nothing between `start` and here is the end of a line.
    searched: usize,
}

impl Lines {
    /// Takes what came next. Lines that have been taken make room.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> Result<(), LineTooLong> {
        self.bytes.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        if self.bytes.len() + chunk.len() > LINE_BYTES_MAX {
            return Err(LineTooLong);
        }
        if self.bytes.is_empty() {
            self.bytes.shrink_to(KEPT_BYTES_MAX);
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    /// The next whole line, without its end.
    pub(crate) fn line(&mut self) -> Option<&[u8]> {
        let end = self.bytes[self.searched..]
            .iter()
            .position(|byte| *byte == b'\n');
        let Some(length) = end else {
            self.searched = self.bytes.len();
            return None;
        };
        let (start, end) = (self.start, self.searched + length);
        self.start = end + 1;
        self.searched = self.start;
        Some(&self.bytes[start..end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All lines of a stream that arrives in chunks of this size.
    fn cut(stream: &[u8], chunk_bytes: usize) -> Vec<String> {
        let mut lines = Lines::default();
        let mut all = Vec::new();
        for chunk in stream.chunks(chunk_bytes) {
            lines.push(chunk).unwrap();
            while let Some(line) = lines.line() {
                all.push(String::from_utf8(line.to_vec()).unwrap());
            }
        }
        all
    }

    #[test]
    fn lines_do_not_depend_on_how_the_stream_is_split() {
        let stream = "{\"a\":1}\n\n{\"ü\":2}\nrest".as_bytes();
        for chunk_bytes in 1..=stream.len() {
            assert_eq!(
                cut(stream, chunk_bytes),
                ["{\"a\":1}", "", "{\"ü\":2}"],
                "{chunk_bytes}"
            );
        }
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut lines = Lines::default();
        let chunk = vec![b'x'; LINE_BYTES_MAX / 2];
        assert_eq!(lines.push(&chunk), Ok(()));
        assert_eq!(lines.push(&chunk), Ok(()));
        assert_eq!(lines.line(), None);
        assert_eq!(lines.push(b"x"), Err(LineTooLong));
    }

    #[test]
    fn a_large_event_does_not_stay_in_memory() {
        let mut lines = Lines::default();
        let mut large = vec![b'x'; 1024 * 1024];
        large.push(b'\n');
        lines.push(&large).unwrap();
        assert!(lines.line().is_some());
        lines.push(b"small\n").unwrap();
        assert!(lines.bytes.capacity() <= 2 * KEPT_BYTES_MAX);
    }
}
