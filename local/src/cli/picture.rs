//! The life of a copy as a picture: the lines of the time line, each on the lane of its actor.
//!
//! An SVG that needs nothing else, in the colours that the reader's system asks for. In a file that ends in `.html`, the same
//! SVG is the page.

use std::fmt::Write;
use std::path::Path;

use quick_xml::escape::escape;
use time::Duration;

/// A line of the time line.
pub(super) struct Moment {
    pub(super) since_start: Duration,
    pub(super) who: String,
    pub(super) what: String,
}

/// The lanes, from left to right, each with the actors on it.
const LANES: [(&str, &[&str]); 5] = [
    ("EC2", &["EC2"]),
    ("queue", &["queue", "message"]),
    ("function", &["answer", "error", "result"]),
    ("calls", &["call"]),
    ("events", &["event"]),
];
const LANE_WIDTH: usize = 64;
const LEFT: usize = 80;
const ROW: usize = 22;
const TOP: usize = 44;
/// How much of a line is drawn. The whole of it appears under the pointer.
const MOST_CHARACTERS: usize = 110;
/// A pause that is as long as this has a row of its own.
const PAUSE: Duration = Duration::minutes(2);

/// Checks the name of the file, before there is anything to draw.
///
/// # Errors
/// It has neither of the two endings.
pub(super) fn check(path: &Path) -> Result<(), String> {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("svg" | "html") => Ok(()),
        _ => Err(format!(
            "{} ends neither in .svg nor in .html: name it {}",
            path.display(),
            path.with_extension("svg").display()
        )),
    }
}

/// Writes the picture.
///
/// # Errors
/// The file has neither of the two endings, or cannot be written.
pub(super) fn write(path: &Path, moments: &[Moment]) -> Result<(), String> {
    check(path)?;
    let svg = svg(moments);
    let picture = if path.extension().is_some_and(|ending| ending == "html") {
        format!("<!doctype html><meta charset=\"utf-8\"><title>The life of a copy</title>\n{svg}")
    } else {
        svg
    };
    std::fs::write(path, picture).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn svg(moments: &[Moment]) -> String {
    let text_begins = LEFT + LANES.len() * LANE_WIDTH;
    let mut rows = String::new();
    let mut y = TOP;
    let mut before = Duration::ZERO;
    for moment in moments {
        let pause = moment.since_start - before;
        if pause >= PAUSE {
            let minutes = pause.whole_minutes();
            let _ = writeln!(
                rows,
                "<text class=\"pause\" x=\"{text_begins}\" y=\"{}\">{minutes} minutes later</text>",
                y + 4
            );
            y += ROW;
        }
        before = moment.since_start;
        let _ = writeln!(rows, "{}", row(moment, y, text_begins));
        y += ROW;
    }
    let (width, height) = (text_begins + MOST_CHARACTERS * 8, y);
    let mut lanes = String::new();
    for (number, (name, _)) in LANES.iter().enumerate() {
        let x = lane(number);
        let _ = writeln!(
            lanes,
            "<text class=\"lane\" x=\"{x}\" y=\"20\">{name}</text><path class=\"lane\" d=\"M{x} 28V{}\"/>",
            height - ROW / 2
        );
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" \
         aria-label=\"The life of a copy\">\n<style>{STYLE}</style>\n<rect class=\"ground\" width=\"{width}\" height=\"{height}\"/>\n\
         {lanes}{rows}</svg>\n"
    )
}

fn row(moment: &Moment, y: usize, text_begins: usize) -> String {
    let number = LANES.iter().position(|(_, actors)| actors.contains(&moment.who.as_str())).unwrap_or(2);
    let seconds = moment.since_start.whole_seconds();
    let time = format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let what: String = moment.what.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let shown: String = match what.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => format!("{}…", &what[..end]),
        None => what.clone(),
    };
    let class = if moment.who == "error" { "error" } else { LANES[number].0 };
    format!(
        "<g class=\"{class}\"><title>{}</title><text class=\"time\" x=\"{}\" y=\"{}\">{time}</text><circle cx=\"{}\" cy=\"{y}\" r=\"5\"/>\
         <text x=\"{text_begins}\" y=\"{}\">{}</text></g>",
        escape(&what),
        LEFT - 14,
        y + 4,
        lane(number),
        y + 4,
        escape(&shown)
    )
}

fn lane(number: usize) -> usize {
    LEFT + number * LANE_WIDTH + LANE_WIDTH / 2
}

/// Colours that the colour-blind tell apart; the place of a dot says the same.
const STYLE: &str = "text{font:12px monospace;fill:#16191f}.time{text-anchor:end;fill:#545b64}.pause{font-style:italic;fill:#545b64}\
                     .lane{text-anchor:middle;stroke:none}path.lane{stroke:#c4cad1;fill:none}.ground{fill:#fff}\
                     circle{fill:#0068a8}.EC2 circle{fill:#9a6100}.function circle{fill:#00735a}.events circle{fill:#93407a}\
                     .calls circle{fill:#5c6773}.error circle{fill:#b8430a}\
                     @media(prefers-color-scheme:dark){text{fill:#e6eaee}.time,.pause{fill:#a9b4c0}path.lane{stroke:#414d5c}\
                     .ground{fill:#161d26}circle{fill:#7cc4ff}.EC2 circle{fill:#f5b942}.function circle{fill:#45d1a8}\
                     .events circle{fill:#eaa3cd}.calls circle{fill:#b0bac5}.error circle{fill:#ff8f66}}";

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(minutes: i64, who: &str, what: &str) -> Moment {
        Moment { since_start: Duration::minutes(minutes), who: who.to_owned(), what: what.to_owned() }
    }

    #[test]
    fn each_line_has_its_lane_its_time_and_a_pause_before_it() {
        let svg = svg(&[moment(0, "message", "m"), moment(20, "EC2", "available"), moment(21, "error", "no")]);
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(svg.contains("20 minutes later") && !svg.contains("1 minutes later"), "{svg}");
        assert!(svg.contains(">0:20:00</text><circle cx=\"112\""), "{svg}");
        assert!(svg.contains("<g class=\"error\"><title>no</title>"), "{svg}");
    }

    #[test]
    fn a_name_is_text_and_a_long_line_is_cut_in_the_picture_alone() {
        let long = format!("<script>&{}", "x".repeat(200));
        let svg = svg(&[moment(0, "EC2", &long)]);
        assert!(!svg.contains("<script") && svg.contains("&lt;script&gt;&amp;xxx"), "{svg}");
        assert_eq!((svg.matches(&"x".repeat(200)).count(), svg.matches('…').count()), (1, 1));
    }

    #[test]
    fn the_ending_of_the_file_says_what_it_becomes() {
        let folder = tempfile::tempdir().expect("a folder");
        let moments = [moment(0, "EC2", "pending")];
        for (name, begins) in [("life.svg", "<svg"), ("life.html", "<!doctype html>")] {
            write(&folder.path().join(name), &moments).expect(name);
            assert!(std::fs::read_to_string(folder.path().join(name)).expect(name).starts_with(begins));
        }
        assert!(write(&folder.path().join("life.png"), &moments).is_err());
    }
}
