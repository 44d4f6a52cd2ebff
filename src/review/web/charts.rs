//! Numbers to places on a picture: the templates draw, this reckons. No I/O, no colours.

use jiff::civil::Date;
use minijinja::{Value, context};

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 240.0;
/// Room for the figures at the left, above, and for the days below.
const LEFT: f64 = 44.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 26.0;

/// One day, its counts in the order of the legend.
pub(super) struct Day {
    pub(super) date: Date,
    pub(super) parts: Vec<(&'static str, u64)>,
}

/// Stacked bars.
pub(super) fn days(days: &[Day]) -> Value {
    let total = |day: &Day| day.parts.iter().map(|(_, count)| count).sum::<u64>();
    let most = days.iter().map(total).max().unwrap_or(0).max(1);
    let step = round_up(most.div_ceil(4));
    let top = step * most.div_ceil(step);
    let up = |count: u64| number(count) / number(top) * (HEIGHT - TOP - BOTTOM);
    let lines: Vec<Value> = (0..=top / step)
        .map(|it| it * step)
        .map(|value| context! { value, y => round(HEIGHT - BOTTOM - up(value)) })
        .collect();
    let slot = (WIDTH - LEFT) / number(days.len().max(1) as u64);
    // So many days can be read side by side on a phone, too.
    let every = days.len().div_ceil(7).max(1);
    let (mut bars, mut ticks) = (Vec::new(), Vec::new());
    for (index, day) in days.iter().enumerate() {
        let x = LEFT + slot * number(index as u64);
        let mut y = HEIGHT - BOTTOM;
        for (class, count) in day.parts.iter().filter(|(_, count)| *count > 0) {
            y -= up(*count);
            let says = format!("{}: {count}", day.date);
            let (width, height) = (round((slot * 0.78).min(64.0)), round(up(*count)));
            bars.push(context! { class => *class, x => round(x + slot * 0.11), y => round(y), width, height, says });
        }
        if index % every == 0 {
            ticks.push(context! { x => round(x + slot / 2.0), value => day.date.strftime("%m-%d").to_string() });
        }
    }
    context! { width => WIDTH, height => HEIGHT, left => LEFT, lines, bars, ticks }
}

/// Per cent of the largest, at least a sliver for what is there at all.
pub(super) fn share(count: u64, most: u64) -> f64 {
    if count == 0 { 0.0 } else { round((number(count) / number(most.max(1)) * 100.0).max(1.5)) }
}

/// 1, 2 or 5 times a power of ten, not below `at_least`.
fn round_up(at_least: u64) -> u64 {
    let mut power = 1;
    loop {
        for digit in [1, 2, 5] {
            if digit * power >= at_least {
                return digit * power;
            }
        }
        power *= 10;
    }
}

#[expect(clippy::cast_precision_loss, reason = "pixels")]
fn number(count: u64) -> f64 {
    count as f64
}

fn round(it: f64) -> f64 {
    (it * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_and_bars_stay_inside() {
        assert_eq!([0, 1, 2, 3, 6, 11, 21, 501].map(round_up), [1, 1, 2, 5, 10, 20, 50, 1000]);
        for counts in [[0, 0], [1, 0], [7, 13], [100_000, 1]] {
            let date = jiff::civil::date(2026, 11, 16);
            let chart = days(&[Day { date, parts: vec![("sender", counts[0]), ("own_admin", counts[1])] }]);
            for bar in chart.get_attr("bars").expect("bars").try_iter().expect("a list") {
                let y = f64::try_from(bar.get_attr("y").expect("y")).expect("a number");
                assert!(y >= TOP - 0.2, "{counts:?}: {y}");
            }
        }
        assert!((share(0, 10) - 0.0).abs() < f64::EPSILON && share(1, 100_000) > 1.0);
    }
}
