// Reading reports as XML.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace popcorn::test {

struct Element {
  std::string name;
  std::vector<std::pair<std::string, std::string>> attributes;
};

/// The attribute's value; empty when there is none.
std::string attribute(const Element& element, const std::string& key);

/// A small strict reader of XML after an HTML doctype, without processing instructions, comments and CDATA.
/// Fails the test where the text is not well-formed; collects the elements and the text.
class XmlReader {
 public:
  explicit XmlReader(const std::string& source);
  std::vector<Element> elements;
  std::string text;

 private:
  void need(bool holds) const;
  char next();
  std::string name();
  std::string entity();
  void characters();
  void tag();

  const std::string& source_;
  std::size_t at_ = 0;
  std::vector<std::string> open_;
};

/// Checks that a page is well-formed, needs nothing from outside, runs nothing and has drawn no number that
/// is none; how many plots it has.
int plots_of_self_contained_page(const std::string& html);

}  // namespace popcorn::test
