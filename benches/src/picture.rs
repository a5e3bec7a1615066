//! The figures as a picture.

use std::fmt::{self, Write};
use std::time::Duration;

use crate::figures::Figures;
use crate::measure::Need;
use crate::peers::Program;

const WIDTH: f64 = 820.0;
const NAMES: f64 = 270.0;
const BARS: f64 = WIDTH - NAMES - 90.0;
const ROW: f64 = 22.0;

/// The most important bars, for a page that has little room: how long one announcement takes on a new process.
pub(crate) fn cold_start(figures: &Figures) -> Result<String, fmt::Error> {
    let is_shown = |need: &&Need| !need.name.contains("batch of ten") && !need.name.contains("direct request");
    let shown = figures.cold.iter().filter(is_shown);
    let bars = shown.map(|need| Bar::of(need, need.cold.as_secs_f64() * 1000.0)).collect();
    svg(vec![("Cold start: from the start of the process to its first answer, ms", bars)])
}

/// An SVG with one panel for each measure of a cold start.
///
/// # Errors
/// None: writing to a string does not fail.
pub(crate) fn draw(figures: &Figures) -> Result<String, fmt::Error> {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    let mut panels = vec![
        ("CPU time of a cold start, ms", bars(&figures.cold, |need| milliseconds(need.cold_cpu))),
        ("Cold start, ms", bars(&figures.cold, |need| milliseconds(need.cold))),
    ];
    if !figures.throttled.is_empty() {
        let name = "Cold start with 128 MB (7 % of a CPU after init), ms";
        panels.push((name, bars(&figures.throttled, |need| milliseconds(need.cold))));
    }
    panels.push(("Peak memory, MiB", bars(&figures.cold, |need| need.peak_memory)));
    svg(panels)
}

/// The panels below each other, in the colours that the reader's system asks for.
fn svg(panels: Vec<(&str, Vec<Bar>)>) -> Result<String, fmt::Error> {
    let mut y = 0.0;
    let mut drawn = String::new();
    for (title, bars) in panels {
        y += 2.0 * ROW;
        writeln!(drawn, r#"<text x="12" y="{y}" font-weight="bold">{title}</text>"#)?;
        let most = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
        for Bar { name, program, value } in bars {
            y += ROW;
            let class = match program {
                Program::Floor => "floor",
                Program::Least => "least",
                Program::Courier => "courier",
                Program::Python => "python",
            };
            let (length, middle) = ((BARS * value / most).max(1.0), y - ROW * 0.65);
            writeln!(drawn, r#"<text x="{}" y="{y}" text-anchor="end">{name}</text>"#, NAMES - 8.0)?;
            writeln!(
                drawn,
                r#"<rect x="{NAMES}" y="{middle:.1}" width="{length:.1}" height="{:.1}" class="{class}"/>"#,
                ROW * 0.75
            )?;
            writeln!(drawn, r#"<text x="{:.1}" y="{y}">{value:.1}</text>"#, NAMES + length + 6.0)?;
        }
    }
    let height = y + ROW;
    Ok(format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="13">
<style>{STYLE}</style>
<rect width="100%" height="100%" class="ground"/>
{drawn}</svg>
"#
    ))
}

const STYLE: &str = "text{fill:#1f2328}.ground{fill:#ffffff}.floor{fill:#8b949e}.least{fill:#57606a}.courier{fill:#d9600e}.python{fill:#3776ab}\
                     @media(prefers-color-scheme:dark){text{fill:#e6eaee}.ground{fill:#0f151c}.floor{fill:#6e7681}.least{fill:#a9b4c0}\
                     .courier{fill:#ff8f4d}.python{fill:#6cb6ff}}";

struct Bar {
    name: String,
    program: Program,
    value: f64,
}

impl Bar {
    fn of(need: &Need, value: f64) -> Self {
        Self { name: need.name.replace('`', ""), program: need.program, value }
    }
}

fn bars(needs: &[Need], value: impl Fn(&Need) -> f64) -> Vec<Bar> {
    needs.iter().map(|need| Bar::of(need, value(need))).collect()
}
