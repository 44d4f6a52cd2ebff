//! Whose mail was delivered where.

use super::*;

pub(super) async fn only_sound_receipts_make_acquaintances(mut desk: Desk) {
    let receipt = |author: &str, n: u32, recipient: &str| {
        let Recognition::Bounce(mut it) = bounce(n, &format!("<r{n}@corp.example.cn>"), recipient) else {
            unreachable!("a bounce")
        };
        it.recipients[0].action = crate::bounce::Action::Delivered;
        if let Some(original) = &mut it.original {
            original.from = Some(mailbox(author));
            original.return_path = None;
        }
        it
    };
    let chen = mailbox("Chen@corp.example.cn");
    for (n, author, recipient) in [
        (1, "chen@corp.example.cn", "zhang.san@buyer.example"),
        (2, "wu@corp.example.cn", "li@buyer.example"),
        (3, "chen@corp.example.cn", "gone@spoilt.example"),
        (4, "wu@corp.example.cn", "b@spoilt.example"),
        (5, "chen@corp.example.cn", "a@few.example"),
        (6, "wu@corp.example.cn", "b@few.example"),
    ] {
        desk.take(&format!("1:{n}"), &Recognition::Bounce(receipt(author, n, recipient)), recipient).await;
    }
    // Nothing speaks for this one's being ours; and that one was brought by a colleague.
    let mut forged = receipt("chen@corp.example.cn", 7, "forged@buyer.example");
    forged.reporting_mta = Some("mx.evil.example".to_owned());
    if let Some(original) = &mut forged.original {
        original.message_id = MessageId::parse("<x@evil.example>");
    }
    desk.take("1:7", &Recognition::Bounce(forged), "forged@buyer.example").await;
    let mut brought = receipt("chen@corp.example.cn", 8, "brought@buyer.example");
    brought.forwarded_by = Some(mailbox("wu@corp.example.cn"));
    desk.take("1:8", &Recognition::Bounce(brought), "brought@buyer.example").await;
    let addresses = async |desk: &Desk, person: &Mailbox, domain: &str| {
        desk.journal.addresses_delivered_to(person, domain).await.expect("read")
    };
    assert_eq!(addresses(&desk, &chen, "buyer.example").await, [mailbox("zhang.san@buyer.example")]);
    assert!(addresses(&desk, &mailbox("li@corp.example.cn"), "buyer.example").await.is_empty(), "another's");
    let domains = async |desk: &Desk| desk.journal.domains_delivered_to(desk.now).await.expect("read");
    desk.now += SignedDuration::from_hours(31 * 24);
    for (n, recipient) in [(10, "c@buyer.example"), (11, "c@spoilt.example")] {
        desk.take(&format!("1:{n}"), &Recognition::Bounce(receipt("li@corp.example.cn", n, recipient)), recipient)
            .await;
    }
    assert_eq!(domains(&desk).await, ["buyer.example", "spoilt.example"]);
    let failed = bounce(12, "<m12@corp.example.cn>", "gone@spoilt.example");
    desk.take("1:12", &failed, "gone@spoilt.example").await;
    assert_eq!(domains(&desk).await, ["buyer.example"], "a failure speaks against it");
    assert!(addresses(&desk, &chen, "spoilt.example").await.is_empty());
}
