//! The stages that `diagnose` runs over one message.

use super::line::Line;
use crate::bounce::{Envelope, NotABounce, Recognition, WhyNot};

pub(super) fn line(source: String, _bytes: &[u8], _country: Option<&str>) -> Line {
    let nothing =
        NotABounce { because: WhyNot::Unreadable, forwarded_by: None, quoted: None, envelope: Envelope::default() };
    Line::new(source, Recognition::NotABounce(nothing), |_, _| unreachable!())
}
