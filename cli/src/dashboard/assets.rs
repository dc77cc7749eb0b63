//! The page: files that are a part of the program.

/// Path, type and content of each file.
pub(super) const ASSETS: [(&str, &str, &str); 12] = [
    ("/", HTML, include_str!("page/index.html")),
    ("/style.css", CSS, include_str!("page/style.css")),
    ("/icon.svg", SVG, include_str!("page/icon.svg")),
    ("/main.js", JS, include_str!("page/main.js")),
    ("/stream.js", JS, include_str!("page/stream.js")),
    ("/state.js", JS, include_str!("page/state.js")),
    ("/text.js", JS, include_str!("page/text.js")),
    ("/dom.js", JS, include_str!("page/dom.js")),
    ("/list.js", JS, include_str!("page/list.js")),
    ("/detail.js", JS, include_str!("page/detail.js")),
    ("/lanes.js", JS, include_str!("page/lanes.js")),
    ("/dialogs.js", JS, include_str!("page/dialogs.js")),
];

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
