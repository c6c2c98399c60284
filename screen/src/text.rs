//! Words of others in header fields and replies.

/// Printable ASCII on one line, at most `max` bytes of it; what cannot be shown is `?`.
pub fn one_line(text: &str, max: usize) -> String {
    let plain = |c: char| match c {
        ' '..='~' => c,
        c if c.is_whitespace() => ' ',
        _ => '?',
    };
    text.trim().chars().map(plain).take(max).collect()
}
