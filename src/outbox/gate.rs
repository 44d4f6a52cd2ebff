//! The one gate through which every outgoing mail passes, whoever put it into the outbox.
//!
//! Pure. It is asked right before an attempt, under the configuration in force then: a row may have
//! been written under another one, or by a part of the program that knows less than `policy`.

use super::{Due, Kind};
use crate::{
    mail::{Mailbox, mark},
    policy::{Mode, Settings},
};

/// Why a mail does not leave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Closed {
    /// Not now: kept as in a dry run, sent only by `journal retry`.
    Kept(&'static str),
    /// Never: the row ends.
    Never(&'static str),
}

impl Closed {
    /// For the journal and the log.
    #[must_use]
    pub fn why(self) -> &'static str {
        match self {
            Self::Kept(why) | Self::Never(why) => why,
        }
    }
}

/// Whether `due` may leave.
///
/// # Errors
/// The first reason why not.
pub fn gate(settings: &Settings, administrators: &[Mailbox], due: &Due) -> Result<(), Closed> {
    // Without our mark we would not know our own mail again: that would be a loop.
    if !mark::is_our_message_id(&due.reply.message_id) || !is_marked(&due.reply.bytes) {
        return Err(Closed::Never("it does not carry our mark"));
    }
    let to = &due.reply.to;
    if due.kind == Kind::Alert {
        let known = administrators.iter().any(|it| it.same_mailbox(to));
        return if known { Ok(()) } else { Err(Closed::Never("the address is not in alerts.to")) };
    }
    let Some(person) = &due.person else { return Err(Closed::Never("it is for nobody")) };
    if !settings.is_member(person) {
        return Err(Closed::Never("the person is not in domains"));
    }
    if settings.opt_out.iter().any(|it| it.same_mailbox(person)) {
        return Err(Closed::Never("the person is in policy.opt_out"));
    }
    match &settings.mode {
        Mode::DryRun if !due.by_hand => Err(Closed::Kept("policy.mode is dry_run")),
        Mode::Redirect(address) if !address.same_mailbox(to) => {
            Err(Closed::Kept("policy.mode is redirect, and it was written for the person"))
        }
        Mode::Live | Mode::DryRun if !person.same_mailbox(to) => Err(Closed::Kept("it was written to be redirected")),
        Mode::Live | Mode::DryRun | Mode::Redirect(_) => Ok(()),
    }
}

/// The fields that keep robots from answering us, and us from answering ourselves.
fn is_marked(bytes: &[u8]) -> bool {
    let head = bytes.windows(4).position(|it| it == b"\r\n\r\n").map_or(bytes, |end| &bytes[..end]);
    let has = |name: &[u8]| {
        head.split(|&b| b == b'\n').any(|line| line.get(..name.len()).is_some_and(|it| it.eq_ignore_ascii_case(name)))
    };
    has(b"auto-submitted: auto-") && has(b"x-whybounced:")
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::{
        mail::{Language, MessageId},
        policy::{LanguageChoice, Limit, Proof},
        reply::Reply,
    };

    fn mailbox(text: &str) -> Mailbox {
        Mailbox::parse(text).expect("a sound address")
    }

    fn settings(mode: Mode) -> Settings {
        Settings {
            domains: vec!["corp.example.cn".to_owned()],
            mode,
            max_age: SignedDuration::from_hours(72),
            gather: SignedDuration::ZERO,
            delays: false,
            answer_undetermined: true,
            asking: true,
            proof: Proof::Plausible,
            our_servers: Vec::new(),
            opt_out: vec![mailbox("Quiet@corp.example.cn")],
            limit_person: Limit::Off,
            limit_total: Limit::Off,
            breaker: Limit::Off,
            language: LanguageChoice::Auto(Language::en()),
            languages: Vec::new(),
        }
    }

    fn due(kind: Kind, person: &str, to: &str) -> Due {
        let message_id = MessageId::parse(&format!("<wb.{:032x}@corp.example.cn>", 7)).expect("an id");
        let bytes = b"From: a\r\nAuto-Submitted: auto-replied\r\nX-Whybounced: WB-1\r\n\r\nbody".to_vec();
        Due {
            id: 1,
            kind,
            person: Mailbox::parse(person),
            reply: Reply { message_id, to: mailbox(to), bytes },
            attempt: 1,
            by_hand: false,
            repeats_doubt: false,
        }
    }

    const CHEN: &str = "chen@corp.example.cn";
    const BOSS: &str = "boss@corp.example.cn";
    const IT: &str = "it@far.example";

    fn asked(mode: Mode, due: &Due) -> Option<Closed> {
        gate(&settings(mode), &[mailbox(IT)], due).err()
    }

    #[test]
    fn only_members_and_who_is_named_in_the_configuration_get_mail() {
        let redirect = || Mode::Redirect(mailbox(BOSS));
        for kind in [Kind::Explanation, Kind::Copy, Kind::Digest] {
            assert_eq!(asked(Mode::Live, &due(kind, CHEN, CHEN)), None);
            assert_eq!(asked(redirect(), &due(kind, CHEN, BOSS)), None);
            for (mode, person, to) in [
                (Mode::Live, "x@far.example", "x@far.example"),
                (Mode::Live, CHEN, "x@far.example"),
                (Mode::Live, IT, IT),
                (Mode::Live, "quiet@corp.example.cn", "quiet@corp.example.cn"),
                (Mode::Live, CHEN, BOSS),
                (redirect(), CHEN, CHEN),
                (redirect(), "x@far.example", BOSS),
                (Mode::DryRun, CHEN, CHEN),
            ] {
                assert!(asked(mode.clone(), &due(kind, person, to)).is_some(), "{kind:?} {mode:?} {person} {to}");
            }
            let for_nobody = Due { person: None, ..due(kind, CHEN, CHEN) };
            assert!(matches!(asked(Mode::Live, &for_nobody), Some(Closed::Never(_))));
        }
        for mode in [Mode::Live, Mode::DryRun, redirect()] {
            assert_eq!(asked(mode.clone(), &due(Kind::Alert, IT, IT)), None);
            for stranger in ["x@far.example", CHEN, BOSS] {
                assert!(matches!(asked(mode.clone(), &due(Kind::Alert, IT, stranger)), Some(Closed::Never(_))));
            }
        }
    }

    #[test]
    fn what_the_administrator_releases_leaves_in_a_dry_run() {
        let by_hand = Due { by_hand: true, ..due(Kind::Explanation, CHEN, CHEN) };
        assert_eq!(asked(Mode::DryRun, &by_hand), None);
        assert!(matches!(asked(Mode::Redirect(mailbox(BOSS)), &by_hand), Some(Closed::Kept(_))));
    }

    #[test]
    fn nothing_leaves_without_our_mark() {
        for strange in ["From: a\r\n\r\nX-Whybounced: x\r\nAuto-Submitted: auto-replied", "Auto-Submitted: no\r\n\r\n"]
        {
            for kind in [Kind::Explanation, Kind::Copy, Kind::Digest, Kind::Alert] {
                let mut due = due(kind, CHEN, if kind == Kind::Alert { IT } else { CHEN });
                due.reply.bytes = strange.as_bytes().to_vec();
                assert!(matches!(asked(Mode::Live, &due), Some(Closed::Never(_))));
            }
        }
        let mut strange = due(Kind::Explanation, CHEN, CHEN);
        strange.reply.message_id = MessageId::parse("<1@corp.example.cn>").expect("an id");
        assert!(asked(Mode::Live, &strange).is_some());
    }
}
