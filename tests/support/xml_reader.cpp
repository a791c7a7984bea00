#include "tests/support/xml_reader.h"

#include <catch2/catch.hpp>
#include <map>
#include <set>

namespace popcorn::test {

XmlReader::XmlReader(const std::string& source) : source_(source) {
  const std::string doctype = "<!DOCTYPE html>";
  need(source.rfind(doctype, 0) == 0);
  at_ = doctype.size();
  while (at_ < source_.size()) source_[at_] == '<' ? tag() : characters();
  need(open_.empty());
}

void XmlReader::need(bool holds) const {
  if (!holds) FAIL("not well-formed before: " << source_.substr(at_, 60));
}

char XmlReader::next() {
  need(at_ < source_.size());
  return source_[at_++];
}

std::string XmlReader::name() {
  const std::size_t start = at_;
  while (at_ < source_.size() &&
         (std::isalnum(static_cast<unsigned char>(source_[at_])) != 0 || source_[at_] == '-'))
    ++at_;
  need(at_ > start);
  return source_.substr(start, at_ - start);
}

std::string XmlReader::entity() {
  static const std::map<std::string, std::string> known = {
      {"amp", "&"}, {"lt", "<"}, {"gt", ">"}, {"quot", "\""}, {"#39", "'"}};
  const std::size_t end = source_.find(';', at_);
  need(end != std::string::npos);
  const auto found = known.find(source_.substr(at_, end - at_));
  need(found != known.end());
  at_ = end + 1;
  return found->second;
}

void XmlReader::characters() {
  const char c = next();
  need(c != '>' || (!open_.empty() && open_.back() == "style"));
  text += c == '&' ? entity() : std::string(1, c);
}

void XmlReader::tag() {
  next();
  if (source_.at(at_) == '/') {
    next();
    need(!open_.empty());
    need(name() == open_.back());
    open_.pop_back();
    need(next() == '>');
    return;
  }
  Element element{name(), {}};
  std::set<std::string> seen;
  while (source_.at(at_) == ' ') {
    next();
    const std::string key = name();
    need(seen.insert(key).second);
    need(next() == '=');
    need(next() == '"');
    std::string value;
    for (char c = next(); c != '"'; c = next()) {
      need(c != '<');
      value += c == '&' ? entity() : std::string(1, c);
    }
    element.attributes.emplace_back(key, value);
  }
  if (source_.at(at_) == '/') {
    next();
  } else {
    open_.push_back(element.name);
  }
  need(next() == '>');
  elements.push_back(element);
}

std::string attribute(const Element& element, const std::string& key) {
  for (const auto& [name, value] : element.attributes) {
    if (name == key) return value;
  }
  return "";
}

int plots_of_self_contained_page(const std::string& html) {
  const XmlReader xml(html);
  int plots = 0;
  for (const Element& element : xml.elements) {
    plots += element.name == "svg" ? 1 : 0;
    CHECK(std::set<std::string>{"script", "link", "img", "iframe", "object", "a", "use", "image"}.count(
              element.name) == 0);
    for (const auto& [key, value] : element.attributes) {
      CHECK(std::set<std::string>{"src", "href", "style", "xlink:href"}.count(key) == 0);
      CHECK(key.rfind("on", 0) != 0);
      CHECK(value.find("nan") == std::string::npos);
      CHECK(value.find("inf") == std::string::npos);
    }
  }
  CHECK(html.find("http://") == std::string::npos);
  CHECK(html.find("https://") == std::string::npos);
  CHECK(html.find("url(") == std::string::npos);
  CHECK(html.find("@import") == std::string::npos);
  return plots;
}

}  // namespace popcorn::test
