//! How long it takes until a copy is visible.

use std::time::Duration;

use crate::finding::{Answer, Finding};
use crate::lab::{Lab, Sighting, VISIBLE_WITHIN};

pub(crate) async fn how_long_until_a_copy_is_visible_by_id(lab: &Lab) -> Answer {
    Ok(times(lab.copies().await?.all.iter().map(|copy| copy.by_id)))
}

pub(crate) async fn how_long_until_a_copy_is_visible_by_its_source(lab: &Lab) -> Answer {
    let copies = lab.copies().await?;
    copies.by_source.clone()?;
    Ok(times(copies.all.iter().map(|copy| copy.by_source)))
}

pub(crate) async fn how_long_until_a_copy_is_visible_by_its_name(lab: &Lab) -> Answer {
    let copies = lab.copies().await?;
    copies.by_name.clone()?;
    Ok(times(copies.all.iter().map(|copy| copy.by_name)))
}

/// As expected, unless a look at the bound or later did not show a copy.
fn times(sightings: impl Iterator<Item = Sighting>) -> Finding {
    let sightings: Vec<Sighting> = sightings.collect();
    let is_late = |it: &Sighting| it.last_hidden.is_some_and(|at| at >= VISIBLE_WITHIN);
    let mut times: Vec<Duration> = sightings.iter().filter_map(|it| it.first_shown).collect();
    times.sort_unstable();
    let seconds = |at: usize| times.get(at).map_or(0.0, Duration::as_secs_f64);
    let hidden = match sightings.len() - times.len() {
        0 => String::new(),
        count => format!("; {count} not visible at all"),
    };
    let seen = format!(
        "{} copies: half of them after {:.1} s, the last after {:.1} s{hidden}",
        sightings.len(),
        seconds(times.len() / 2),
        seconds(times.len().saturating_sub(1)),
    );
    Finding { times, ..Finding::of(!sightings.iter().any(is_late), seen) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sighting(last_hidden: u64, first_shown: Option<u64>) -> Sighting {
        Sighting {
            last_hidden: Some(Duration::from_secs(last_hidden)),
            first_shown: first_shown.map(Duration::from_secs),
        }
    }

    #[test]
    fn a_copy_is_late_only_if_a_look_after_the_bound_did_not_show_it() {
        assert!(times([sighting(890, Some(960))].into_iter()).is_expected, "it may have been visible at 900 s");
        assert!(!times([sighting(3, Some(4)), sighting(900, Some(960))].into_iter()).is_expected);
        let never = times([sighting(1200, None)].into_iter());
        assert!(!never.is_expected && never.seen.contains("1 not visible at all"), "{}", never.seen);
    }
}
