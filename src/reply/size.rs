//! The arithmetic of sizes (`explanations.md`, principle 3): MB as Windows shows it.

/// Octets of one MB, KB.
const MB: u64 = 1_048_576;
const KB: u64 = 1024;

/// Tenths of an MB, rounded down: for limits.
pub(super) fn limit_tenths(octets: u64) -> u64 {
    octets.saturating_mul(10) / MB
}

/// Tenths of an MB, rounded up: for what is too large.
pub(super) fn size_tenths(octets: u64) -> u64 {
    octets.saturating_mul(10).div_ceil(MB)
}

/// Tenths of an MB, rounded to the nearest: for files.
pub(super) fn file_tenths(octets: u64) -> u64 {
    (octets.saturating_mul(10) + MB / 2) / MB
}

/// Room for files below a limit, in tenths of an MB: limit ÷ 1.37 − 0.1, rounded down. Base64
/// takes four characters for three octets and a line end for 57; the rest is the text.
pub(super) fn room_tenths(limit: u64) -> u64 {
    let hundredths_of_tenths = limit.saturating_mul(1000) / 137 * 10 / MB;
    (hundredths_of_tenths / 10).saturating_sub(1)
}

/// What a file of so many octets takes as it travels.
pub(super) fn travelling(file: u64) -> u64 {
    file.saturating_mul(137) / 100
}

/// Whether a file alone, as it travels, is larger than the limit.
pub(super) fn exceeds_alone(file: u64, limit: u64) -> bool {
    travelling(file) > limit
}

/// "5 MB", "3.5 MB"; below a tenth of an MB, KB.
pub(super) fn words(tenths: u64, octets: u64) -> String {
    match (tenths / 10, tenths % 10) {
        (0, 0) => format!("{} KB", octets.div_ceil(KB)),
        (whole, 0) => format!("{whole} MB"),
        (whole, tenth) => format!("{whole}.{tenth} MB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_room_are_those_of_the_examples() {
        let say = |limit| (words(limit_tenths(limit), limit), words(room_tenths(limit), 0));
        assert_eq!(say(5_242_880), ("5 MB".to_owned(), "3.5 MB".to_owned()));
        assert_eq!(say(5_000_000), ("4.7 MB".to_owned(), "3.3 MB".to_owned()));
        assert_eq!(words(size_tenths(7_400_000), 7_400_000), "7.1 MB");
        assert_eq!(words(file_tenths(40_000), 40_000), "40 KB");
        assert_eq!(room_tenths(100_000), 0);
        assert_eq!(words(file_tenths(travelling(4_928_307)), 0), "6.4 MB");
        assert!(room_tenths(u64::MAX) > 0);
    }
}
