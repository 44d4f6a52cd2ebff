//! What holds for all findings.

use proptest::prelude::*;

use super::*;

const ADDRESSES: [&str; 12] = [
    "chen@corp.example.cn",
    "CHEN@corp.example.cn",
    "li@corp.example.cn",
    "noreply@corp.example.cn",
    "postmaster@corp.example.cn",
    "owner-sales@corp.example.cn",
    "prvs=0123=chen@corp.example.cn",
    "SRS0=H=T=corp.example.cn=root@relay.example",
    "MAILER-DAEMON@mail.corp.example.cn",
    "x@sub.corp.example.cn",
    "stranger@far.example",
    "a@b.example",
];
const FIELDS: [&str; 6] = [
    "Auto-Submitted: no",
    "Auto-Submitted: auto-notified; x",
    "List-Id: <x>",
    "Precedence: bulk",
    "Precedence: list",
    "X-Loop: a",
];

fn any_address() -> impl Strategy<Value = Mailbox> {
    prop::sample::select(&ADDRESSES[..]).prop_map(mailbox)
}

fn any_path() -> impl Strategy<Value = Option<ReversePath>> {
    prop_oneof![Just(None), Just(Some(ReversePath::Null)), any_address().prop_map(|it| Some(ReversePath::Mailbox(it))),]
}

prop_compose! {
    fn any_bounce()(
        actions in prop::collection::vec(prop::sample::select(&[Action::Failed, Action::Delayed, Action::Delivered][..]), 1..4),
        original in prop::option::of((prop::option::of(any_address()), any_path(), any::<bool>(), prop::option::of(0_u8..3))),
        automatic in prop::collection::vec(prop::sample::select(&FIELDS[..]), 0..2),
        forwarded_by in prop::option::weighted(0.3, any_address()),
        from in prop::option::of(any_address()),
        return_path in any_path(),
        vouched in any::<bool>(),
    ) -> Bounce {
        let mut it = if vouched { forwarded() } else { bounce() };
        it.recipients = (0..).zip(actions).map(|(n, action)| report(&format!("r{n}@buyer.example"), action)).collect();
        it.original = original.map(|(from, return_path, ours, number)| Original {
            from,
            return_path,
            ours,
            message_id: number.and_then(|n| id(&format!("<m{n}@corp.example.cn>"))),
            automatic: automatic.iter().map(|&it| it.to_owned()).collect(),
            ..Original::default()
        });
        it.forwarded_by = forwarded_by;
        (it.envelope.from, it.envelope.return_path) = (from, return_path);
        it
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_findings_ever_make_us_answer_whom_we_must_not(
        bounce in any_bounce(),
        inline in any::<bool>(),
        member in prop::option::of(any_address().prop_filter("a member", |it| it.domain() == "corp.example.cn")),
        proof in prop::sample::select(&[Proof::None, Proof::Plausible, Proof::Verified][..]),
        (asking, delays, seen, found) in any::<(bool, bool, bool, bool)>(),
    ) {
        let mut case = Case::new(bounce.clone());
        (case.settings.proof, case.settings.asking, case.settings.delays) = (proof, asking, delays);
        (case.history.bounce_seen, case.history.found_in_sent) = (seen, found);
        case.role = member.clone().map_or(Role::Central, Role::Member);
        if inline {
            case.recognition = Recognition::NotABounce(NotABounce {
                because: WhyNot::QuotedBounce,
                forwarded_by: bounce.forwarded_by.clone(),
                envelope: bounce.envelope.clone(),
                quoted: Some(Box::new(Bounce { forwarded_by: None, ..bounce.clone() })),
            });
        }
        let plan = match case.decide() {
            Decision::Suppress(reasons) => {
                prop_assert!(!reasons.is_empty(), "a no without a reason");
                return Ok(());
            }
            Decision::Reply(plan) | Decision::Hold(_, plan) => plan,
        };
        let to = &plan.addressee;
        prop_assert_eq!(to.domain(), "corp.example.cn");
        prop_assert!(!plan.grounds.is_empty() && !seen);
        let nobody = ["noreply", "postmaster", "owner-sales", "mailer-daemon", "root"];
        prop_assert!(!nobody.contains(&to.local().to_lowercase().as_str()), "a robot or a list: {}", to);
        let original = bounce.original.as_ref();
        prop_assert!(!original.is_some_and(|it| it.ours), "our own mail");
        if plan.asked {
            prop_assert!(asking && member.is_none());
            prop_assert_eq!(bounce.forwarded_by.as_ref(), Some(to));
            prop_assert!(bounce.envelope.return_path != Some(ReversePath::Null));
        } else {
            prop_assert!(bounce.envelope.from.as_ref().is_none_or(|it| !it.same_mailbox(to)), "the bounce's own sender");
            prop_assert!(original.is_none_or(|it| it.return_path != Some(ReversePath::Null)), "a null path");
            let signs = original.map_or(&[][..], |it| &it.automatic[..]);
            prop_assert!(signs.iter().all(|it| it == "Auto-Submitted: no"), "an automatic original");
        }
        // The same failure a second time, by another copy: never again.
        let Ok(candidate) = candidate(&case.settings, &case.role, &case.recognition) else { panic!("it was answered") };
        case.history.explained = vec![plan.sequence];
        case.history.explained_failures = candidate.failures;
        prop_assert_eq!(case.reasons(), vec![Suppression::AlreadyExplained]);
    }
}
