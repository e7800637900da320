//! Lines in a picture: how something grows with the number of watched processes. Both axes are logarithmic.

use std::fmt::Write as _;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 460.0;
/// The field of the lines: left, top, right, bottom.
const FIELD: (f64, f64, f64, f64) = (70.0, 40.0, 610.0, 400.0);

/// Told apart also by those who see few colours: dashes alternate.
const COLOURS: [&str; 11] = [
    "#0b6e4f", "#1b9e77", "#66c2a5", "#a6d96a", "#333333", "#d95f02", "#7570b3", "#e7298a", "#1f78b4", "#b15928",
    "#e6ab02",
];

pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    /// Watched processes, and the value.
    pub(super) points: Vec<(usize, f64)>,
    /// Which colour: the same tool has the same in all pictures.
    pub(super) colour: usize,
}

/// A picture of these lines. What is zero lies on the lower edge, which has no number.
pub(super) fn svg(title: &str, unit: &str, lines: &[Line<'_>]) -> String {
    let values = || lines.iter().flat_map(|line| line.points.iter().map(|point| point.1)).filter(|value| *value > 0.0);
    let least = values().fold(f64::INFINITY, f64::min);
    let most = values().fold(0.0, f64::max);
    let (from, to) = if most > 0.0 {
        (least.log10().floor() - 1.0, most.log10().ceil().max(least.log10().floor() + 1.0))
    } else {
        (0.0, 1.0)
    };
    let sizes = || lines.iter().flat_map(|line| line.points.iter().map(|point| point.0 as f64));
    let (few, many) = (sizes().fold(f64::INFINITY, f64::min), sizes().fold(1.0, f64::max));
    let (left, top, right, bottom) = FIELD;
    let x = |size: f64| {
        let span = many.log10() - few.log10();
        left + if span > 0.0 { (size.log10() - few.log10()) / span * (right - left) } else { (right - left) / 2.0 }
    };
    let y = |value: f64| {
        let height = if value > 0.0 { (value.log10() - from) / (to - from) } else { 0.0 };
        bottom - height * (bottom - top)
    };
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{left}\" y=\"22\" font-size=\"15\">{}</text>\n",
        escaped(&format!("{title} ({unit})"))
    );
    grid(&mut out, from, to, &y);
    let mut marked: Vec<_> = lines.iter().flat_map(|line| line.points.iter().map(|point| point.0)).collect();
    marked.sort_unstable();
    marked.dedup();
    for size in marked {
        let at = x(size as f64);
        let _written =
            writeln!(out, "<line x1=\"{at:.1}\" y1=\"{top}\" x2=\"{at:.1}\" y2=\"{bottom}\" stroke=\"#eee\"/>");
        let _written =
            writeln!(out, "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{size}</text>", bottom + 18.0);
    }
    let _written = writeln!(
        out,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">watched processes</text>",
        f64::midpoint(left, right),
        bottom + 38.0
    );
    for (number, line) in lines.iter().enumerate() {
        let colour = COLOURS.get(line.colour % COLOURS.len()).copied().unwrap_or_default();
        let dashes = if line.colour % 2 == 1 { " stroke-dasharray=\"6 3\"" } else { "" };
        let path: Vec<_> =
            line.points.iter().map(|(size, value)| format!("{:.1},{:.1}", x(*size as f64), y(*value))).collect();
        let style = format!("stroke=\"{colour}\" stroke-width=\"2\"{dashes}");
        let _written = writeln!(out, "<polyline fill=\"none\" {style} points=\"{}\"/>", path.join(" "));
        for point in &path {
            let (x, y) = point.split_once(',').unwrap_or_default();
            let _written = writeln!(out, "<circle cx=\"{x}\" cy=\"{y}\" r=\"3\" fill=\"{colour}\"/>");
        }
        let legend = top + 10.0 + number as f64 * 22.0;
        let _written = writeln!(
            out,
            "<line x1=\"{}\" y1=\"{legend}\" x2=\"{}\" y2=\"{legend}\" {style}/>",
            right + 20.0,
            right + 48.0
        );
        let _written =
            writeln!(out, "<text x=\"{}\" y=\"{}\">{}</text>", right + 54.0, legend + 4.0, escaped(line.name));
    }
    out + "</svg>\n"
}

/// A line for each power of ten; the lowest one stands for nothing at all.
fn grid(out: &mut String, from: f64, to: f64, y: &dyn Fn(f64) -> f64) {
    let (left, _, right, bottom) = FIELD;
    for power in from as i32..=to as i32 {
        let value = 10_f64.powi(power);
        let (at, label) = if power == from as i32 {
            (bottom, "0".to_owned())
        } else if (-3..=5).contains(&power) {
            (y(value), format!("{value}"))
        } else {
            (y(value), format!("1e{power}"))
        };
        let _written =
            writeln!(out, "<line x1=\"{left}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\" stroke=\"#ccc\"/>");
        let _written =
            writeln!(out, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>", left - 6.0, at + 4.0);
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::{Line, svg};

    fn heights(picture: &str) -> Vec<f64> {
        let circles = picture.lines().filter(|line| line.starts_with("<circle"));
        circles.map(|line| line.split("cy=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap()).collect()
    }

    #[test]
    fn more_is_higher_and_nothing_lies_on_the_edge() {
        let line = Line { name: "a < b", points: vec![(10, 0.0), (100, 1.0), (1_000, 100.0)], colour: 0 };
        let picture = svg("CPU", "%", &[line]);
        let heights = heights(&picture);
        assert!(heights[0] > heights[1] && heights[1] > heights[2], "{heights:?}");
        assert!((heights[0] - 400.0).abs() < 0.1);
        assert!(picture.contains("a &lt; b") && picture.ends_with("</svg>\n"));
    }

    #[test]
    fn a_picture_of_nothing_is_still_one() {
        for points in [vec![], vec![(10, 0.0)], vec![(10, 5.0)]] {
            let picture = svg("CPU", "%", &[Line { name: "it", points, colour: 3 }]);
            assert!(!picture.contains("NaN") && !picture.contains("inf"), "{picture}");
        }
    }
}
