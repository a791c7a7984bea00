#include "cli/report/html_page.h"

namespace popcorn::cli {

namespace {

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --page: #f6f7f9; --card: #ffffff; --ink: #1b2330; --soft: #5b6575; --grid: #e3e7ed;
  --axis: #a4adba; --s0: #6b7686; --s1: #2f6fd0; --s2: #c2610c; --s3: #14815f; --s4: #8a4fbe; }
@media (prefers-color-scheme: dark) { :root { --page: #12161c; --card: #1b212a; --ink: #e8ecf2; --soft: #9ba6b5;
  --grid: #2c3440; --axis: #566172; --s0: #9aa5b4; --s1: #6ca5ff; --s2: #f09a4a; --s3: #43c59b; --s4: #c08cf0; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 1.25rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; }
h1 { font-size: 1.45rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.02rem; margin: 0 0 .25rem; }
h3 { font-size: .88rem; margin: 0; overflow-wrap: anywhere; }
p { margin: .15rem 0 .6rem; color: var(--soft); font-size: .88rem; }
.tiles, .plots, .small { display: grid; gap: .8rem; margin: 1rem 0; }
.tiles { grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); }
.plots { grid-template-columns: repeat(auto-fit, minmax(min(340px, 100%), 1fr)); align-items: start; }
.pairs { grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr)); }
.small { grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); margin: .6rem 0 0; }
.card, .tile { background: var(--card); border: 1px solid var(--grid); border-radius: 10px; padding: .8rem .9rem; }
.tile span { display: block; color: var(--soft); font-size: .8rem; }
.tile b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
section.card { margin: 0 0 .8rem; }
.plots .card { margin: 0; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--soft); font-size: 10.5px; }
svg .end { text-anchor: end; } svg .middle { text-anchor: middle; }
svg .strong { fill: var(--ink); font-weight: 600; }
.grid { stroke: var(--grid); } .axis { stroke: var(--axis); }
.trace { fill: none; stroke-width: 1.5; opacity: .55; }
.law { stroke-dasharray: 4 3; }
.mark { stroke: var(--card); stroke-width: 1.2; }
.hollow { fill: var(--card); stroke: var(--s0); stroke-width: 1.6; }
.span { stroke: var(--axis); stroke-width: 2; }
.bar { fill: var(--s1); }
.mark.s0 { fill: var(--s0); } .mark.s1 { fill: var(--s1); } .mark.s2 { fill: var(--s2); } .mark.s3 { fill: var(--s3); } .mark.s4 { fill: var(--s4); }
.trace.s0 { stroke: var(--s0); } .trace.s1 { stroke: var(--s1); } .trace.s2 { stroke: var(--s2); } .trace.s3 { stroke: var(--s3); } .trace.s4 { stroke: var(--s4); }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1rem; font-size: .82rem; color: var(--soft); margin: .3rem 0 0; }
.legend i { display: inline-block; width: .7em; height: .7em; border-radius: 50%; margin-right: .4em; }
.l0 { background: var(--s0); } .l1 { background: var(--s1); } .l2 { background: var(--s2); } .l3 { background: var(--s3); } .l4 { background: var(--s4); }
.ring { border: 2px solid var(--s0); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .82rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .55rem; text-align: right; border-bottom: 1px solid var(--grid); white-space: nowrap; }
th { color: var(--soft); font-weight: 600; }
th:first-child, td:first-child, .left { text-align: left; }
td:first-child { max-width: 14rem; overflow: hidden; text-overflow: ellipsis; }
tr.sum td { font-weight: 600; border-bottom: 0; }
)";

}  // namespace

std::string escape_html(const std::string& text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      case '\'':
        result += "&#39;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string html_page(const std::string& title, const std::string& heading, const std::string& introduction,
                      const std::string& body) {
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
         "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
         "'unsafe-inline'\"/>\n"
         "<title>" +
         escape_html(title) + "</title>\n<style>" + kStyle + "</style>\n</head>\n<body>\n<main>\n<h1>" +
         escape_html(heading) + "</h1>\n<p>" + escape_html(introduction) + "</p>\n" + body +
         "</main>\n</body>\n</html>\n";
}

std::string section(const std::string& title, const std::string& explanation, const std::string& content) {
  return "<section class=\"card\">\n<h2>" + title + "</h2>\n<p>" + explanation + "</p>\n" + content +
         "</section>\n";
}

std::string tile(const std::string& label, const std::string& value, const std::string& detail) {
  return "<div class=\"tile\"><span>" + label + "</span><b>" + value + "</b><span>" + detail +
         "</span></div>\n";
}

}  // namespace popcorn::cli
