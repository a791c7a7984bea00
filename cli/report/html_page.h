// Reports as one HTML file that needs nothing else: no scripts, nothing from outside, light and dark by the
// reader's preference, readable on a phone, well-formed as XML.
#pragma once

#include <string>

namespace popcorn::cli {

/// Text for element content and quoted attributes: & < > " ' as entities.
std::string escape_html(const std::string& text);

/// The whole file. @param title, heading, introduction plain text. @param body elements
std::string html_page(const std::string& title, const std::string& heading, const std::string& introduction,
                      const std::string& body);

/// A card. @param title, explanation, content elements or text that is escaped already
std::string section(const std::string& title, const std::string& explanation, const std::string& content);
/// A number that is to be seen first. @param label, value, detail as above
std::string tile(const std::string& label, const std::string& value, const std::string& detail);

}  // namespace popcorn::cli
