//! Each reason of `design.md` §3 from both sides.

use std::net::IpAddr;

use jiff::SignedDuration;

use super::{candidate::untagged, *};
use crate::{
    bounce::{Action, Bounce, Envelope, NotABounce, Original, Provenance, RecipientReport, Recognition, WhyNot},
    diagnosis::{CauseId, Diagnosis},
    evidence::Finding,
    mail::{ReversePath, Role},
};

mod asking;
mod never;

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).expect("a sound address")
}

fn id(text: &str) -> Option<MessageId> {
    MessageId::parse(text)
}

fn settings() -> Settings {
    let per = |count, period| Limit::PerPeriod { count, period };
    Settings {
        domains: vec!["corp.example.cn".to_owned()],
        mode: Mode::Live,
        max_age: SignedDuration::from_hours(72),
        gather: SignedDuration::from_secs(60),
        delays: false,
        answer_undetermined: true,
        asking: true,
        proof: Proof::Plausible,
        our_servers: vec![
            OurServer::Name("mail.corp.example.cn".to_owned()),
            OurServer::Network(IpAddr::from([10, 1, 0, 0]), 16),
        ],
        opt_out: Vec::new(),
        limit_person: per(10, SignedDuration::from_hours(24)),
        limit_total: per(200, SignedDuration::from_hours(1)),
        breaker: per(50, SignedDuration::from_mins(10)),
        language: LanguageChoice::Auto(Language::zh_cn()),
        languages: Vec::new(),
    }
}

fn report(recipient: &str, action: Action) -> RecipientReport {
    RecipientReport {
        final_recipient: mailbox(recipient),
        original_recipient: None,
        action,
        status: None,
        reply_code: None,
        diagnostic: None,
        remote_mta: None,
        last_attempt_date: None,
        will_retry_until: None,
        expired: false,
        provenance: Provenance::ReportField,
    }
}

/// A bounce of chen's mail to wang that our own server reports: answered as it stands.
fn bounce() -> Bounce {
    Bounce {
        format: "rfc3464".to_owned(),
        reporting_mta: Some("mail.corp.example.cn".to_owned()),
        arrival_date: None,
        original_envelope_id: None,
        recipients: vec![report("wang@buyer.example", Action::Failed)],
        original: Some(Original {
            from: Some(mailbox("chen@corp.example.cn")),
            message_id: id("<m1@corp.example.cn>"),
            ..Original::default()
        }),
        forwarded_by: None,
        envelope: Envelope {
            from: Some(mailbox("MAILER-DAEMON@mail.corp.example.cn")),
            return_path: Some(ReversePath::Null),
            message_id: id("<b1@mail.corp.example.cn>"),
            automatic: vec!["Auto-Submitted: auto-replied".to_owned()],
            ..Envelope::default()
        },
        filler_seen: false,
        human_text: String::new(),
        defects: Vec::new(),
    }
}

/// A member forwards a bounce; our own server took the mail from an authenticated client.
fn forwarded() -> Bounce {
    let mut it = bounce();
    it.forwarded_by = Some(mailbox("li@corp.example.cn"));
    it.envelope = Envelope {
        from: Some(mailbox("li@corp.example.cn")),
        message_id: id("<fwd@corp.example.cn>"),
        received: vec!["from pc.corp.example.cn ([192.0.2.7]) by mail.corp.example.cn with ESMTPSA id 1".to_owned()],
        ..Envelope::default()
    };
    it
}

fn other(because: WhyNot) -> Recognition {
    Recognition::NotABounce(NotABounce { because, forwarded_by: None, quoted: None, envelope: Envelope::default() })
}

struct Case {
    settings: Settings,
    role: Role,
    recognition: Recognition,
    findings: Vec<Finding>,
    history: History,
    age: SignedDuration,
}

impl Case {
    fn new(bounce: Bounce) -> Self {
        let (settings, role, history) = (settings(), Role::Central, History::default());
        let recognition = Recognition::Bounce(bounce);
        Self { settings, role, recognition, findings: Vec::new(), history, age: SignedDuration::ZERO }
    }

    fn bounce(&mut self) -> &mut Bounce {
        match &mut self.recognition {
            Recognition::Bounce(bounce) => bounce,
            Recognition::NotABounce(_) => panic!("not a bounce"),
        }
    }

    fn original(&mut self) -> &mut Original {
        self.bounce().original.as_mut().expect("an original")
    }

    fn decide(&self) -> Decision {
        let now = Timestamp::from_second(1_790_000_000).expect("in range");
        let incoming = Incoming {
            role: &self.role,
            received: now - self.age,
            recognition: &self.recognition,
            findings: &self.findings,
        };
        decide(&self.settings, &incoming, &self.history, now)
    }

    fn reasons(&self) -> Vec<Suppression> {
        match self.decide() {
            Decision::Suppress(reasons) => reasons,
            Decision::Reply(_) | Decision::Hold(..) => Vec::new(),
        }
    }

    fn plan(&self) -> ReplyPlan {
        match self.decide() {
            Decision::Reply(plan) | Decision::Hold(_, plan) => plan,
            Decision::Suppress(reasons) => panic!("{reasons:?}"),
        }
    }
}

/// Without the change it is answered; with it suppressed, for exactly this reason.
fn only(start: fn() -> Case, reason: Suppression, change: impl FnOnce(&mut Case)) {
    let mut case = start();
    assert_eq!(case.reasons(), [], "answered before the change ({reason:?})");
    change(&mut case);
    assert_eq!(case.reasons(), [reason]);
}

fn plain() -> Case {
    Case::new(bounce())
}

fn asked() -> Case {
    Case::new(forwarded())
}

#[test]
fn the_author_is_answered_with_the_grounds_named() {
    let plan = plain().plan();
    assert_eq!(plan.addressee, mailbox("chen@corp.example.cn"));
    assert_eq!(plan.in_reply_to, id("<m1@corp.example.cn>"));
    assert_eq!((plan.sequence, plan.asked, plan.redirect_to), (0, false, None));
    let reported = Ground::ReportedByOurServer("mail.corp.example.cn".to_owned());
    assert_eq!(plan.grounds, [reported, Ground::MessageIdOfOurDomain]);
    assert_eq!(plan.languages, [Language::zh_cn()]);
}

#[test]
fn not_a_bounce_of_whatever_kind() {
    let kinds = [
        WhyNot::OrdinaryMail,
        WhyNot::AutoReply,
        WhyNot::DispositionNotification,
        WhyNot::FeedbackReport,
        WhyNot::ListNotice,
        WhyNot::Challenge,
        WhyNot::FakeBounce,
        WhyNot::Unreadable,
    ];
    for kind in kinds {
        only(plain, Suppression::NotABounce, |it| it.recognition = other(kind));
    }
    only(plain, Suppression::OurOwnReply, |it| it.recognition = other(WhyNot::OurOwnReply));
    only(plain, Suppression::QuotedBounce, |it| it.recognition = other(WhyNot::QuotedBounce));
}

#[test]
fn reports_of_success_and_delays() {
    for action in [Action::Delivered, Action::Relayed, Action::Expanded] {
        only(plain, Suppression::SuccessReport, |it| it.bounce().recipients[0].action = action);
    }
    only(plain, Suppression::DelayNotConfigured, |it| it.bounce().recipients[0].action = Action::Delayed);
    let mut delay = plain();
    delay.bounce().recipients[0].action = Action::Delayed;
    delay.settings.delays = true;
    assert_eq!(delay.reasons(), []);
}

#[test]
fn only_members_and_only_by_their_exact_domain() {
    let strangers =
        ["chen@sub.corp.example.cn", "chen@evilcorp.example.cn", "chen@corp.example.cn.example", "a@b.example"];
    for stranger in strangers {
        only(plain, Suppression::NotOurDomain, |it| it.original().from = Some(mailbox(stranger)));
    }
    only(plain, Suppression::NoOriginalSender, |it| it.original().from = None);
    only(plain, Suppression::NoOriginalSender, |it| it.bounce().original = None);
    let mut upper = plain();
    upper.original().from = Some(mailbox("Chen@CORP.Example.CN"));
    assert_eq!(upper.reasons(), []);
}

#[test]
fn the_envelope_sender_comes_before_from_where_it_is_ours() {
    let mut both = plain();
    both.original().return_path = Some(ReversePath::Mailbox(mailbox("liu@corp.example.cn")));
    assert_eq!(both.plan().addressee, mailbox("liu@corp.example.cn"));
    both.original().return_path = Some(ReversePath::Mailbox(mailbox("x@relay.example")));
    assert_eq!(both.plan().addressee, mailbox("chen@corp.example.cn"));
    only(plain, Suppression::AutomatedOriginal, |it| it.original().return_path = Some(ReversePath::Null));
}

#[test]
fn envelope_tags_are_stripped() {
    let cases = [
        ("prvs=0123abcdef=chen@corp.example.cn", "chen@corp.example.cn"),
        ("prvs=chen/0123abcdef@corp.example.cn", "chen@corp.example.cn"),
        ("SRS0=HHH=TT=corp.example.cn=chen@relay.example", "chen@corp.example.cn"),
        ("srs0+HHH=TT=corp.example.cn=chen@relay.example", "chen@corp.example.cn"),
        ("SRS1=GGG=relay.example==HHH=TT=corp.example.cn=chen@other.example", "chen@corp.example.cn"),
        ("chen+wang=buyer.example@corp.example.cn", "chen@corp.example.cn"),
        ("chen-wang=buyer.example@corp.example.cn", "chen@corp.example.cn"),
        ("chen+orders@corp.example.cn", "chen+orders@corp.example.cn"),
        ("chen@corp.example.cn", "chen@corp.example.cn"),
        ("prvs=@corp.example.cn", "prvs=@corp.example.cn"),
        ("srs0@corp.example.cn", "srs0@corp.example.cn"),
        ("=@corp.example.cn", "=@corp.example.cn"),
    ];
    for (tagged, plain) in cases {
        assert_eq!(untagged(&mailbox(tagged)), mailbox(plain), "{tagged}");
    }
}

#[test]
fn a_forged_sender_has_no_grounds() {
    let forged = |it: &mut Case| {
        it.bounce().reporting_mta = Some("mx.victim.example".to_owned());
        it.original().message_id = id("<x@spam.example>");
        // An honest server returns forged mail, and its own mail passes.
        it.bounce().envelope.authentication_results = vec![
            "mail.corp.example.cn; spf=pass smtp.helo=mx.victim.example; dkim=pass header.d=victim.example".to_owned(),
        ];
    };
    only(plain, Suppression::UnprovenOrigin, forged);
    // Each ground by itself is enough for `plausible`.
    let grounds: [fn(&mut Case); 7] = [
        |it| it.history.journal_knows_original = true,
        |it| it.history.found_in_sent = true,
        |it| it.bounce().reporting_mta = Some("mail.corp.example.cn".to_owned()),
        |it| it.original().message_id = id("<x@pc7.corp.example.cn>"),
        |it| it.original().received = vec!["from pc by mail.corp.example.cn with ESMTP; Mon".to_owned()],
        |it| it.original().received = vec!["from x (unknown [10.1.2.3]) by mx.example.net".to_owned()],
        |it| {
            it.bounce().envelope.authentication_results =
                vec!["mail.corp.example.cn; dkim=pass header.d=corp.example.cn".to_owned()];
        },
    ];
    for ground in grounds {
        let mut case = plain();
        forged(&mut case);
        ground(&mut case);
        assert_eq!(case.reasons(), [], "{:?}", case.bounce());
        assert_eq!(case.plan().grounds.len(), 1);
    }
}

#[test]
fn proof_may_be_asked_in_three_degrees() {
    only(plain, Suppression::UnprovenOrigin, |it| it.settings.proof = Proof::Verified);
    let mut found = plain();
    found.settings.proof = Proof::Verified;
    found.history.found_in_sent = true;
    assert_eq!(found.plan().grounds, [Ground::FoundInSent]);
    let mut none = plain();
    none.settings.proof = Proof::None;
    none.bounce().reporting_mta = None;
    none.original().message_id = None;
    assert_eq!(none.plan().grounds, [Ground::NoProofAsked]);
}

#[test]
fn what_looks_like_our_server_is_not() {
    let mut case = plain();
    case.original().message_id = None;
    for host in ["xmail.corp.example.cn", "mail.corp.example.cn.evil.example", "corp.example.cn"] {
        case.bounce().reporting_mta = Some(host.to_owned());
        assert_eq!(case.reasons(), [Suppression::UnprovenOrigin], "{host}");
    }
    case.original().received = vec!["from mail.corp.example.cn (evil [198.51.100.1]) by mx.example.net".to_owned()];
    assert_eq!(case.reasons(), [Suppression::UnprovenOrigin], "a HELO is not a host");
    case.bounce().envelope.authentication_results = vec![
        "mx.example.net; dkim=pass header.d=corp.example.cn".to_owned(),
        "mail.corp.example.cn; dkim=pass header.d=corp.example.cn".to_owned(),
    ];
    assert_eq!(case.reasons(), [Suppression::UnprovenOrigin], "only the topmost field is the receiving server's");
}

#[test]
fn robots_and_lists() {
    for field in ["Auto-Submitted: auto-generated", "Precedence: bulk", "Precedence: junk", "X-Autoreply: yes"] {
        only(plain, Suppression::AutomatedOriginal, |it| it.original().automatic = vec![field.to_owned()]);
    }
    for field in ["List-Id: <a.example>", "List-Unsubscribe: <mailto:x@a.example>", "Precedence: list"] {
        only(plain, Suppression::ListBounce, |it| it.original().automatic = vec![field.to_owned()]);
    }
    for local in ["noreply", "No-Reply", "postmaster", "MAILER-DAEMON", "root", "bounce+chen"] {
        only(plain, Suppression::AutomatedOriginal, |it| {
            it.original().from = Some(mailbox(&format!("{local}@corp.example.cn")));
        });
    }
    for local in ["owner-sales", "sales-request", "sales-bounces"] {
        only(plain, Suppression::ListBounce, |it| {
            it.original().from = Some(mailbox(&format!("{local}@corp.example.cn")));
        });
    }
    let mut person = plain();
    person.original().automatic = vec!["Auto-Submitted: no".to_owned(), "Auto-Submitted: No (a person)".to_owned()];
    person.original().from = Some(mailbox("rootlee@corp.example.cn"));
    assert_eq!(person.reasons(), [], "the value counts, not the field");
}

#[test]
fn our_own_mail_the_bounces_own_sender_and_old_mail() {
    only(plain, Suppression::OurOwnReply, |it| it.original().ours = true);
    only(plain, Suppression::UnprovenOrigin, |it| {
        it.bounce().envelope.from = Some(mailbox("CHEN@corp.example.cn"));
    });
    only(plain, Suppression::UnprovenOrigin, |it| {
        it.bounce().envelope.return_path = Some(ReversePath::Mailbox(mailbox("chen@corp.example.cn")));
    });
    only(plain, Suppression::TooOld, |it| it.age = SignedDuration::from_hours(73));
    let mut young = plain();
    young.age = SignedDuration::from_hours(71);
    assert_eq!(young.reasons(), []);
    only(plain, Suppression::TooOld, |it| {
        // A restored mailbox gives it a new time; the bounce itself tells its age.
        it.bounce().envelope.date = Timestamp::from_second(1_790_000_000 - 73 * 3600).ok();
    });
}

#[test]
fn a_failure_is_explained_once_and_followed_up_three_times() {
    let told = Failure { recipient: mailbox("WANG@buyer.example"), action: Action::Failed };
    only(plain, Suppression::AlreadyExplained, |it| {
        (it.history.explained, it.history.explained_failures) = (vec![0], vec![told.clone()]);
    });
    only(plain, Suppression::AlreadyExplained, |it| it.history.bounce_seen = true);
    for (explained, follow_up) in [(vec![0], Some(1)), (vec![0, 1, 2], Some(3)), (vec![0, 1, 2, 3], None)] {
        let mut case = plain();
        case.bounce().recipients = vec![report("liu@other.example", Action::Failed)];
        (case.history.explained, case.history.explained_failures) = (explained, vec![told.clone()]);
        match follow_up {
            Some(sequence) => assert_eq!(case.plan().sequence, sequence),
            None => assert_eq!(case.reasons(), [Suppression::AlreadyExplained]),
        }
    }
    // A failure after a delay is news.
    let mut later = plain();
    later.history.explained = vec![0];
    later.history.explained_failures = vec![Failure { action: Action::Delayed, ..told }];
    assert_eq!(later.plan().sequence, 1);
}

#[test]
fn a_waiting_explanation_takes_a_further_bounce_in_whatever_the_limits() {
    let mut case = plain();
    let gathering = Gathering { row: 7, version: 2, sequence: 0 };
    case.history = History {
        explained: vec![0],
        gathering: Some(gathering),
        sent_to_person: 10,
        sent_in_all: 200,
        breaker_open: true,
        ..History::default()
    };
    let Decision::Reply(plan) = case.decide() else { panic!("joined") };
    assert_eq!((plan.gathers, plan.sequence), (Some(gathering), 0));
}

#[test]
fn limits_opt_out_undetermined_and_dry_run() {
    only(plain, Suppression::RateLimitedPerson, |it| it.history.sent_to_person = 10);
    only(plain, Suppression::RateLimitedTotal, |it| it.history.sent_in_all = 200);
    only(asked, Suppression::RateLimitedPerson, |it| it.history.sent_to_person = 5);
    only(plain, Suppression::OptedOut, |it| it.settings.opt_out = vec![mailbox("Chen@corp.example.cn")]);
    only(plain, Suppression::UndeterminedMuted, |it| {
        it.settings.answer_undetermined = false;
        it.findings = vec![finding(CauseId::UNDETERMINED)];
    });
    let mut known = plain();
    known.settings.answer_undetermined = false;
    known.findings = vec![finding(CauseId::UNDETERMINED), finding("user_unknown")];
    assert_eq!(known.reasons(), [], "one known cause is worth an answer");
    let mut almost = plain();
    (almost.history.sent_to_person, almost.history.sent_in_all) = (9, 199);
    assert_eq!(almost.reasons(), []);
    let mut open = plain();
    open.history.breaker_open = true;
    assert!(matches!(open.decide(), Decision::Hold(HoldReason::Breaker, _)));
    let mut dry = plain();
    dry.settings.mode = Mode::DryRun;
    assert!(matches!(dry.decide(), Decision::Hold(HoldReason::DryRun, _)), "rendered, kept, not sent");
    dry.age = SignedDuration::from_hours(100);
    assert_eq!(dry.reasons(), [Suppression::TooOld, Suppression::DryRun], "all reasons are listed");
    let mut trial = plain();
    trial.settings.mode = Mode::Redirect(mailbox("it@corp.example.cn"));
    assert_eq!(trial.plan().redirect_to, Some(mailbox("it@corp.example.cn")));
    assert_eq!(trial.plan().addressee, mailbox("chen@corp.example.cn"));
}

fn finding(cause: &str) -> Finding {
    let diagnosis = Diagnosis {
        cause: CauseId::new(cause),
        family: crate::diagnosis::Family::Unknown,
        permanent: None,
        expired: false,
        acts: crate::diagnosis::Acts::OwnAdmin,
        confidence: crate::diagnosis::Confidence::Guess,
        rule: String::new(),
        matched: String::new(),
        facts: crate::diagnosis::Facts::default(),
        rivals: Vec::new(),
        system: None,
    };
    crate::evidence::weigh(report("wang@buyer.example", Action::Failed), diagnosis, Vec::new(), false)
}

#[test]
fn the_persons_own_language_comes_first() {
    let mut case = plain();
    case.original().language = Some("en-GB".to_owned());
    assert_eq!(case.plan().languages, [Language::en()]);
    case.original().language = Some("ja".to_owned());
    assert_eq!(case.plan().languages, [Language::zh_cn()], "the fallback");
    case.settings.languages = vec![(mailbox("Chen@corp.example.cn"), Language::en())];
    assert_eq!(case.plan().languages, [Language::en()]);
    case.settings.languages.clear();
    case.settings.language = LanguageChoice::Fixed(vec![Language::zh_cn(), Language::en()]);
    assert_eq!(case.plan().languages.len(), 2);
}

#[test]
fn settings_that_would_answer_the_world_are_refused() {
    let with = |domains: &[&str]| {
        Settings { domains: domains.iter().map(|&it| it.to_owned()).collect(), ..settings() }.checked()
    };
    assert!(matches!(with(&[]), Err(SettingsError::NoDomains)));
    assert!(matches!(with(&["*.example.cn"]), Err(SettingsError::Wildcard(_))));
    for public in ["qq.com", "GMAIL.com.", "yahoo.co.jp"] {
        assert!(matches!(with(&["corp.example.cn", public]), Err(SettingsError::PublicDomain(_))), "{public}");
    }
    for wrong in ["", "cn", "@corp.example.cn", "a b.example", "[192.0.2.1]"] {
        assert!(matches!(with(&[wrong]), Err(SettingsError::NotADomain(_))), "{wrong}");
    }
    assert_eq!(with(&["Corp.Example.CN"]).expect("sound").domains, ["corp.example.cn"]);
}
