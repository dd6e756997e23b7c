//! The two cookies of a request, chosen by Meta's parameter builder and by us.

use anyhow::{Result, ensure};
use crosstally_core::identity::click_cookies::{choose_fbc, make_fbp, subdomain_index, valid_fbp};
use serde_json::{Map, Value, json};

use super::asked::ask;
use super::inputs::Dice;

const CASES: usize = 300;
const NOW_MS: i64 = 1_795_255_200_000;

/// A visit as the builder is asked about it.
pub(crate) struct Asked {
    pub(crate) host: &'static str,
    pub(crate) fbclid: Option<String>,
    pub(crate) fbc: Option<String>,
    pub(crate) fbp: Option<String>,
}

fn fbclid(dice: &mut Dice) -> String {
    let ends = [
        "IwAR2F4-dbP0l7_",
        "IwZXh0bgNhZW0",
        "PAZXh0bgNhZW0BMABhZGlk",
        "a",
        "x y",
        "é",
        "a%2Bb",
        "a+b",
        "z_aem_-",
    ];
    format!("{}{}", dice.pick(&ends), dice.below(4))
}

fn cookie(dice: &mut Dice, payload: &str) -> String {
    let index = dice.pick(&["0", "1", "2", "1"]);
    let time = dice.pick(&["1764201600000", "1795255100000", "1", "x1", ""]);
    let end = dice.pick(&[
        "",
        "",
        "",
        ".AQ",
        ".Bg",
        ".AQQCAQMC",
        ".AQIAAQMC",
        ".AQYBAQMC",
        ".zz",
        ".AQQCAQM!",
        ".ZZQCAQMC",
    ]);
    match dice.below(14) {
        0 => format!("fx.{index}.{time}.{payload}"),
        1 => format!("fb.{index}.{time}"),
        2 => format!("fb.{index}.{time}."),
        3 => payload.to_owned(),
        4 => String::new(),
        _ => format!("fb.{index}.1764201600000.{payload}{end}"),
    }
}

fn cases(count: usize) -> Vec<Asked> {
    let mut dice = Dice(7);
    let hosts = [
        "example.com",
        "www.example.com",
        "shop.example.co.uk",
        "localhost",
        "192.0.2.7",
        "example.com:8443",
    ];
    (0..count)
        .map(|number| {
            let click = fbclid(&mut dice);
            let remembered = if dice.once_in(2) { click.clone() } else { fbclid(&mut dice) };
            Asked {
                host: hosts[number % hosts.len()],
                fbclid: (!dice.once_in(3)).then_some(click),
                fbc: (!dice.once_in(3)).then(|| cookie(&mut dice, &remembered)),
                fbp: (!dice.once_in(2)).then(|| cookie(&mut dice, "1116446470")),
            }
        })
        .collect()
}

fn asked(case: &Asked) -> Value {
    let given = |pairs: &[(&str, &Option<String>)]| -> Map<String, Value> {
        let there =
            pairs.iter().filter_map(|(name, value)| Some(((*name).to_owned(), json!(value.as_ref()?))));
        there.collect()
    };
    let cookies = given(&[("_fbc", &case.fbc), ("_fbp", &case.fbp)]);
    json!(["cookies", case.host, given(&[("fbclid", &case.fbclid)]), cookies, NOW_MS])
}

/// Theirs without the appendix that they put behind a value that had none.
pub(crate) fn without_own_mark<'a>(theirs: &'a str, given: Option<&str>) -> &'a str {
    let marks = [".AQQAAQMC", ".AQQCAQMC", ".AQQDAQMC"];
    if given == Some(theirs) {
        return theirs;
    }
    marks.iter().find_map(|mark| theirs.strip_suffix(mark)).unwrap_or(theirs)
}

/// Generated visits, each with what the builder says.
pub(crate) fn generated(count: usize) -> Result<Vec<(Asked, Value)>> {
    let cases = cases(count);
    let said = ask("meta_builder.js", &cases.iter().map(asked).collect::<Vec<_>>())?;
    Ok(cases.into_iter().zip(said).collect())
}

#[test]
fn cookies_equal_the_parameter_builders() -> Result<()> {
    let cases = cases(CASES);
    let said = ask("meta_builder.js", &cases.iter().map(asked).collect::<Vec<_>>())?;
    let (mut kept, mut made) = (0, 0);
    for (case, said) in cases.iter().zip(&said) {
        let index = subdomain_index(case.host.split(':').next().unwrap_or_default());
        let ours = choose_fbc(case.fbc.as_deref(), case.fbclid.as_deref(), NOW_MS, index);
        let theirs = said["fbc"].as_str().map(|theirs| without_own_mark(theirs, case.fbc.as_deref()));
        ensure!(ours.as_deref() == theirs, "{}: {theirs:?}, ours {ours:?}", asked(case));
        let fbp = said["fbp"].as_str().unwrap_or_default();
        let theirs = without_own_mark(fbp, case.fbp.as_deref());
        match valid_fbp(case.fbp.as_deref()) {
            Some(ours) => {
                kept += 1;
                ensure!(ours == theirs, "{}: {theirs}, ours {ours}", asked(case));
            }
            None => {
                made += 1;
                let number = theirs.rsplit('.').next().unwrap_or_default().parse()?;
                let ours = make_fbp(index, NOW_MS, number);
                ensure!(ours == theirs, "{}: {theirs}, ours {ours}", asked(case));
            }
        }
    }
    assert!(kept > 40 && made > 40, "{kept} kept, {made} made");
    Ok(())
}
