//! The company's own directory: what it may change, and each mistake named with its place.

use super::*;

fn overlay(path: &str, text: &str) -> Result<Texts, Vec<TextError>> {
    Texts::with_overlay([(path.to_owned(), text.to_owned())])
}

#[test]
fn a_section_of_the_companys_own_takes_the_place_of_ours() {
    let texts =
        overlay("causes/mailbox_full/zh-CN.md", "# steps\n1. 请联系 {{ company }} 前台转告 {{ recipient }}。\n")
            .expect("sound");
    let finding = specimen("mailbox_full");
    let bounce = bounce(std::slice::from_ref(&finding));
    let plan = plan(&bounce, &["zh-CN"]);
    let it = render_parts(&texts, &settings(), &plan, &[(bounce, vec![finding])], Audience::Author, now());
    assert!(it.text.contains("1. 请联系示例公司前台转告 zhangsan@partner.example。\n"), "{}", it.text);
    assert!(it.text.contains("这个邮箱满了"), "what they leave out stays ours: {}", it.text);
}

#[test]
fn each_mistake_is_named_with_file_and_line() {
    let cases = [
        ("causes/mailbox_fool/en.md", "# steps\nx\n"),
        ("causes/mailbox_full/en.md", "# steps\n1. a\n2. {{ recipent }}\n"),
        ("causes/mailbox_full/en.md", "# stepps\nx\n"),
        ("causes/mailbox_full/en.md", "# steps\nx\n# steps (sertain)\ny\n"),
        ("causes/mailbox_full/en.md", "# steps (certain)\nx\n"),
        ("causes/mailbox_full/en.md", "# steps\n1. {{ recipient\n"),
        ("causes/mailbox_full/en.md", "no section\n"),
        ("letter.txt", "x"),
        ("languages/en/mail.md", "# greting\nHi\n"),
    ];
    let told: Vec<String> = cases
        .iter()
        .map(|(path, text)| {
            let errors = overlay(path, text).expect_err("a mistake");
            errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        })
        .collect();
    insta::assert_snapshot!("overlay_mistakes", told.join("\n\n"));
}

#[test]
fn a_third_language_is_one_more_file_and_falls_back_to_english() {
    let texts = Texts::with_overlay([
        ("causes/mailbox_full/fr.md".to_owned(), "# short\nboîte pleine\n# reason\nla boîte est pleine\n".to_owned()),
        ("languages/fr/words.md".to_owned(), "# spacing\nlatin\n".to_owned()),
    ])
    .expect("sound");
    assert!(texts.languages().contains(&Language::new("fr")));
    assert!(texts.missing().contains(&"causes/mailbox_full/fr.md: steps".to_owned()));
    let finding = specimen("mailbox_full");
    let bounce = bounce(std::slice::from_ref(&finding));
    let plan = plan(&bounce, &["fr"]);
    let it = render_parts(&texts, &settings(), &plan, &[(bounce, vec![finding])], Audience::Author, now());
    assert!(
        it.text.contains("didn't arrive: la boîte est pleine.") && it.text.contains("Phone or message them"),
        "{}",
        it.text
    );
}

#[test]
fn what_ships_lacks_nothing_and_passes_its_own_check() {
    crate::catalogue::written::<crate::reply::texts::Knowledge>("reply.toml");
    assert_eq!(Texts::embedded().missing(), Vec::<String>::new());
    let ours = crate::catalogue::FILES.iter().filter(|(path, _)| {
        let path = std::path::Path::new(path);
        path.extension().is_some_and(|it| it == "md") && (path.starts_with("causes") || path.starts_with("languages"))
    });
    let files = ours.map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    if let Err(errors) = Texts::with_overlay(files) {
        panic!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    }
}
