//! Where Markdown has code, in which `a[1]` is no citation.

/// Code spans and fenced blocks, character by character.
#[derive(Debug, Default)]
pub(super) struct Code {
    open: Option<Open>,
    /// Backticks in a row that were just seen.
    ticks: usize,
    /// Whether these began a line.
    began_line: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    /// Ends with as many backticks, or with its line: one that is never closed is none.
    Span(usize),
    /// Ends with a line of at least as many backticks; `first` while in the line that begins it, where as many end
    /// it too.
    Fence { ticks: usize, first: bool },
}

impl Code {
    /// Whether what comes now is code.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Prepares for a character: backticks count once their number is known.
    pub(super) fn before(&mut self, c: char) {
        let ticks = if c == '`' { 0 } else { std::mem::take(&mut self.ticks) };
        if ticks == 0 {
            return;
        }
        self.open = match self.open {
            None if ticks >= 3 && self.began_line => Some(Open::Fence { ticks, first: true }),
            None => Some(Open::Span(ticks)),
            Some(Open::Span(opened)) if opened == ticks => None,
            Some(Open::Fence { ticks: opened, first }) => {
                let closes = if first { opened == ticks } else { self.began_line && ticks >= opened };
                (!closes).then_some(Open::Fence { ticks: opened, first })
            }
            span @ Some(Open::Span(_)) => span,
        };
    }

    /// Goes past a character.
    pub(super) fn see(&mut self, c: char, at_line_start: bool) {
        self.before(c);
        match c {
            '`' => {
                self.began_line = if self.ticks == 0 { at_line_start } else { self.began_line };
                self.ticks += 1;
            }
            '\n' => {
                self.open = match self.open {
                    Some(Open::Fence { ticks, .. }) => Some(Open::Fence { ticks, first: false }),
                    Some(Open::Span(_)) | None => None,
                };
            }
            _ => {}
        }
    }
}
