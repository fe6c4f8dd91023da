//! `.env` files, as the replaced service reads them (python-dotenv), but for the substitution of
//! variables: a `$` in a secret is a `$`. The usual crate substitutes, and would quietly make another
//! secret of one.

/// A line is no setting. What it says is not repeated: it may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not NAME=VALUE")]
pub struct BadLine {
    /// Its number, from 1.
    pub line: usize,
}

/// The settings in `text`: a `NAME=VALUE` each line, with `export` before it or not; empty lines and
/// lines that begin with `#` are skipped. A value may stand in single quotes, as it is, or in double
/// quotes, with `\\n`, `\\t`, `\\"` and `\\\\`; without quotes it ends at a `#` after a space.
///
/// # Errors
/// The first line that is none of these.
pub fn parse(text: &str) -> Result<Vec<(String, String)>, BadLine> {
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let settings = lines.enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    settings.map(|(index, line)| parse_line(line).ok_or(BadLine { line: index + 1 })).collect()
}

fn parse_line(line: &str) -> Option<(String, String)> {
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let value = match value.chars().next() {
        Some('\'') => literal(&value[1..])?,
        Some('"') => escaped(&value[1..])?,
        Some('#') | None => String::new(),
        Some(_) => value.split(" #").next().unwrap_or_default().trim_end().to_owned(),
    };
    is_name.then(|| (name.to_owned(), value))
}

fn literal(text: &str) -> Option<String> {
    let (value, rest) = text.split_once('\'')?;
    is_comment(rest).then(|| value.to_owned())
}

fn escaped(text: &str) -> Option<String> {
    let mut value = String::new();
    let mut rest = text.chars();
    loop {
        match rest.next()? {
            '"' => return is_comment(rest.as_str()).then_some(value),
            '\\' => match rest.next()? {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                other @ ('"' | '\\') => value.push(other),
                other => value.extend(['\\', other]),
            },
            other => value.push(other),
        }
    }
}

fn is_comment(rest: &str) -> bool {
    let rest = rest.trim_start();
    rest.is_empty() || rest.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(line: &str) -> Option<String> {
        parse(line).ok()?.pop().map(|(_, value)| value)
    }

    #[test]
    fn values_are_taken_as_they_are_written() {
        for (line, expected) in [
            ("A=b", "b"),
            ("  export A = b c  ", "b c"),
            ("A=", ""),
            ("A= # nothing", ""),
            ("A=b # comment", "b"),
            ("A=b#c", "b#c"),
            ("A=a$HOME${X}b", "a$HOME${X}b"),
            ("A='b # \\n $c' # comment", "b # \\n $c"),
            (r#"A="b # \"c\" \\ \n \x $d""#, "b # \"c\" \\ \n \\x $d"),
            ("A=\"\"", ""),
            ("A=b=c", "b=c"),
        ] {
            assert_eq!(value(line).as_deref(), Some(expected), "{line}");
        }
    }

    #[test]
    fn a_file_has_comments_empty_lines_and_any_line_ends() {
        let text = "\u{feff}# a comment\r\n\r\nA=1\r\n  # another\nB='2'\n";
        let wanted = [("A", "1"), ("B", "2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(parse(text).unwrap(), wanted);
    }

    #[test]
    fn a_line_that_is_no_setting_is_named_by_its_number_alone() {
        for line in ["secret", "A B=c", "=b", "A='b", "A=\"b", "A='b'c", "A=\"b\\\"", "Ä=b"] {
            let error = parse(&format!("OK=1\n{line}\n")).unwrap_err();
            assert_eq!(
                (error, error.to_string().as_str()),
                (BadLine { line: 2 }, "not NAME=VALUE"),
                "{line}"
            );
        }
    }
}
