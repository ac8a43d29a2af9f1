//! Numbers as people read and write them.

/// `12,345`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 event`, `12,345 events`.
pub(crate) fn count_of(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// The units that sizes are shown in, which are powers of 1,000.
const UNITS: [(&str, u64); 5] =
    [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000), ("B", 1)];

/// Units that are read besides, whose letters may be large or small: powers of 1,000, and of 1,024.
const READ: [(&str, u64); 9] = [
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
];

/// A number of bytes: `10MB`, `500kB`, `500 KB`, `2GiB`, `1234B`.
///
/// # Errors
/// If it is written otherwise.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let expected = || {
        format!(
            "`{text}` is not a size; expected a whole number and B, kB, MB, GB or TB (powers of \
             1,000), or KiB, MiB, GiB or TiB (of 1,024), as in 10MB"
        )
    };
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text[digits.len()..].to_ascii_lowercase();
    let (_, factor) = READ.iter().find(|(name, _)| *name == unit).ok_or_else(expected)?;
    let number = digits.trim_end().parse::<u64>().map_err(|_| expected())?;
    number.checked_mul(*factor).ok_or_else(expected)
}

/// In the largest unit that leaves at least 1: `1.2 MB`.
pub(crate) fn size(bytes: u64) -> String {
    match UNITS.iter().find(|(name, factor)| *name != "B" && bytes >= *factor) {
        Some((name, factor)) => {
            let tenths = bytes / (factor / 10);
            format!("{}.{} {name}", count(tenths / 10), tenths % 10)
        }
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_commas() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
            (123_456, "123,456"),
        ] {
            assert_eq!(count(number), text);
        }
        assert_eq!(
            (count_of(1, "event"), count_of(0, "event")),
            ("1 event".into(), "0 events".into())
        );
    }

    #[test]
    fn sizes_have_a_unit() {
        assert_eq!((parse_size("10MB"), parse_size("7B")), (Ok(10_000_000), Ok(7)));
        for (text, bytes) in [
            ("10kB", 10_000),
            ("10KB", 10_000),
            ("10 kb", 10_000),
            ("10KiB", 10_240),
            ("3mb", 3_000_000),
            ("3MiB", 3 << 20),
            ("2GB", 2_000_000_000),
            ("2GiB", 2 << 30),
            ("1TB", 1_000_000_000_000),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "10", "MB", "1.5MB", "-1B", "1k", "99999999999999999999B", "1mbit"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
        for (bytes, text) in [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (1_299_999, "1.2 MB")]
        {
            assert_eq!(size(bytes), text);
        }
    }
}
