//! Members who ask, and members' own inboxes.

use super::*;

#[test]
fn who_asks_is_a_member_for_whom_our_own_server_vouches() {
    let plan = asked().plan();
    assert_eq!((plan.addressee, plan.asked), (mailbox("li@corp.example.cn"), true));
    assert_eq!((plan.grounds, plan.in_reply_to), (vec![Ground::Asked], id("<fwd@corp.example.cn>")));
    only(asked, Suppression::QuotedBounce, |it| it.settings.asking = false);
    only(asked, Suppression::NotOurDomain, |it| it.bounce().forwarded_by = Some(mailbox("li@other.example")));
    only(asked, Suppression::UnprovenOrigin, |it| it.bounce().envelope.received = Vec::new());
    let mut stranger = asked();
    stranger.settings.asking = false;
    stranger.bounce().forwarded_by = Some(mailbox("li@other.example"));
    assert_eq!(stranger.reasons(), [Suppression::NotOurDomain, Suppression::QuotedBounce], "named in any case");
    // A line that another server wrote proves nothing, whatever it says of a login.
    only(asked, Suppression::UnprovenOrigin, |it| {
        it.bounce().envelope.received = vec!["from pc ([10.1.2.3]) by mx.evil.example with ESMTPSA id 1".to_owned()];
    });
    only(asked, Suppression::AutomatedOriginal, |it| {
        it.bounce().envelope.automatic = vec!["Auto-Submitted: auto-replied".to_owned()];
    });
    only(asked, Suppression::QuotedBounce, |it| it.role = Role::Member(mailbox("chen@corp.example.cn")));
    // The boundary: from outside without a login, whatever the lines below say.
    only(asked, Suppression::UnprovenOrigin, |it| {
        it.bounce().envelope.received = vec![
            "from evil.example ([198.51.100.1]) by mail.corp.example.cn with ESMTPS id 2".to_owned(),
            "from pc ([10.1.2.3]) by mail.corp.example.cn with ESMTPSA id 1".to_owned(),
        ];
    });
    let vouching = [
        vec![
            "from mail.corp.example.cn by mail.corp.example.cn with LMTP",
            "from pc ([192.0.2.7]) by mail.corp.example.cn with ESMTPSA",
        ],
        vec!["from pc (pc [10.1.9.9]) by mail.corp.example.cn with ESMTP"],
    ];
    for lines in vouching {
        let mut case = asked();
        case.bounce().envelope.received = lines.into_iter().map(str::to_owned).collect();
        assert_eq!(case.reasons(), []);
    }
    let mut signed = asked();
    signed.bounce().envelope.received = Vec::new();
    signed.bounce().envelope.authentication_results =
        vec!["corp.example.cn; dkim=pass header.d=corp.example.cn".to_owned()];
    assert_eq!(signed.reasons(), []);
    signed.bounce().envelope.authentication_results =
        vec!["corp.example.cn; dkim=pass header.d=evil.example".to_owned()];
    assert_eq!(signed.reasons(), [Suppression::UnprovenOrigin]);
}

#[test]
fn a_bounce_quoted_inline_answers_who_quotes_it_and_never_the_quoted_author() {
    let forward = forwarded();
    let inline = NotABounce {
        because: WhyNot::QuotedBounce,
        forwarded_by: forward.forwarded_by.clone(),
        envelope: forward.envelope.clone(),
        quoted: Some(Box::new(bounce())),
    };
    let mut case = plain();
    case.recognition = Recognition::NotABounce(inline.clone());
    let plan = case.plan();
    assert_eq!((plan.addressee, plan.in_reply_to), (mailbox("li@corp.example.cn"), id("<fwd@corp.example.cn>")));
    case.settings.asking = false;
    assert_eq!(case.reasons(), [Suppression::QuotedBounce]);
}

#[test]
fn in_a_members_own_inbox_that_member_is_answered() {
    let mut case = plain();
    case.role = Role::Member(mailbox("chen@corp.example.cn"));
    case.bounce().original = None;
    case.bounce().reporting_mta = Some("mx.far.example".to_owned());
    assert_eq!(case.plan().grounds, [Ground::OwnInbox]);
    // A mailbox that the configuration gives to somebody outside of `domains`.
    case.role = Role::Member(mailbox("chen@far.example"));
    assert_eq!(case.reasons(), [Suppression::NotOurDomain]);
    // The header of a report and no more: nothing can be told.
    case.role = Role::Member(mailbox("chen@corp.example.cn"));
    case.bounce().recipients.clear();
    assert_eq!(case.reasons(), [Suppression::NoOriginalSender]);
    let mut strange = plain();
    strange.role = Role::Member(mailbox("chen@corp.example.cn"));
    strange.original().from = Some(mailbox("somebody@spam.example"));
    assert_eq!(strange.reasons(), [Suppression::NotOurDomain], "an original that no member wrote");
}
