//! An error with all that led to it, in one line.

use std::error::Error;
use std::fmt;

/// Shows the error, and its causes as far as it does not repeat them itself.
pub(crate) struct Causes<'a>(pub(crate) &'a dyn Error);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !said.ends_with(&text) {
                write!(f, ": {text}")?;
            }
            said = text;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Layer {
        #[error("outer: {0}")]
        Repeats(#[source] Box<Self>),
        #[error("middle")]
        Hides(#[source] std::io::Error),
    }

    #[test]
    fn says_everything_once() {
        let cause = std::io::Error::other("refused");
        let error = Layer::Repeats(Box::new(Layer::Hides(cause)));
        assert_eq!(Causes(&error).to_string(), "outer: middle: refused");
    }
}
