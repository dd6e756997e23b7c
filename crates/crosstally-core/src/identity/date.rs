//! Dates of birth, read without guessing more than the platform does.

use super::dropped::DropReason;

const YEAR_MIN: u32 = 1900;

/// The date as `YYYYMMDD`.
///
/// Read are eight digits, or three numbers between anything else (a time of day behind them is ignored): year first,
/// or month, day, year. Where the number in the month's place is above 12 the other one is the month. A year of two
/// digits is not completed.
pub(super) fn compact(input: &str, today_year: i16) -> Result<String, DropReason> {
    let mut runs = input.split(|c: char| !c.is_ascii_digit()).filter(|run| !run.is_empty());
    let (year, month, day) = match (runs.next(), runs.next(), runs.next()) {
        (Some(digits), None, None) if digits.len() == 8 => {
            let number = number(digits)?;
            (number / 10_000, number / 100 % 100, number % 100)
        }
        (Some(first), Some(second), Some(third)) => in_order(number(first)?, number(second)?, number(third)?),
        _ => return Err(DropReason::NotADate),
    };
    let today_year = u32::try_from(today_year).map_err(|_| DropReason::ImpossibleDate)?;
    if !(YEAR_MIN..=today_year).contains(&year) || !is_in_calendar(year, month, day) {
        return Err(DropReason::ImpossibleDate);
    }
    Ok(format!("{year:04}{month:02}{day:02}"))
}

fn number(digits: &str) -> Result<u32, DropReason> {
    digits.parse().map_err(|_| DropReason::NotADate)
}

fn in_order(first: u32, second: u32, third: u32) -> (u32, u32, u32) {
    let (year, maybe_month, other) = if first > 31 { (first, second, third) } else { (third, first, second) };
    if maybe_month > 12 { (year, other, maybe_month) } else { (year, maybe_month, other) }
}

fn is_in_calendar(year: u32, month: u32, day: u32) -> bool {
    let (Ok(year), Ok(month), Ok(day)) = (i16::try_from(year), i8::try_from(month), i8::try_from(day)) else {
        return false;
    };
    jiff::civil::Date::new(year, month, day).is_ok()
}
