// The OpenAPI document and the server must agree: same routes, and every answer has a documented status, type
// and form.
#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <set>

#include "service/api/api.h"
#include "tests/service/service_fixture.h"
#include "tests/support/random_network.h"

using namespace popcorn;
using namespace popcorn::test;
using nlohmann::json;

namespace {

/// The part of JSON Schema that the document uses. Gives the path of the first value that does not fit, or
/// "".
std::string misfit(const json& document, const json& given_schema, const json& value,
                   const std::string& where = "$") {
  const json& schema =
      given_schema.contains("$ref")
          ? document.at(json::json_pointer(given_schema.at("$ref").get<std::string>().substr(1)))
          : given_schema;
  const std::string type = schema.value("type", "");
  const bool fits = type.empty() || (type == "object" && value.is_object()) ||
                    (type == "array" && value.is_array()) || (type == "string" && value.is_string()) ||
                    (type == "integer" && value.is_number_integer()) ||
                    (type == "boolean" && value.is_boolean());
  if (!fits) {
    return where + " is no " + type;
  }
  if (schema.contains("enum") &&
      std::find(schema["enum"].begin(), schema["enum"].end(), value) == schema["enum"].end()) {
    return where + " is none of the listed values";
  }
  for (const auto& name : schema.value("required", json::array())) {
    if (!value.contains(name.get<std::string>())) {
      return where + " lacks " + name.get<std::string>();
    }
  }
  const json properties = schema.value("properties", json::object());
  for (const auto& [name, part] : properties.items()) {
    if (value.contains(name)) {
      const std::string found = misfit(document, part, value.at(name), where + "." + name);
      if (!found.empty()) {
        return found;
      }
    }
  }
  if (value.is_array() && schema.contains("items")) {
    for (const auto& item : value) {
      const std::string found = misfit(document, schema.at("items"), item, where + "[]");
      if (!found.empty()) {
        return found;
      }
    }
  }
  return "";
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
  return text;
}

class Walker {
 public:
  explicit Walker(const json& document) : document_(document) {}

  void check(const std::string& path, const std::string& method, const RawAnswer& answer) {
    const json& operation = document_.at("paths").at(path).at(method);
    const std::string status = std::to_string(answer.status);
    INFO(method << " " << path << " gave " << status << ": " << answer.body.substr(0, 300));
    REQUIRE(operation.at("responses").contains(status));
    json response = operation.at("responses").at(status);
    if (response.contains("$ref")) {
      response = document_.at(json::json_pointer(response.at("$ref").get<std::string>().substr(1)));
    }
    seen_.insert(method + " " + path + " " + status);
    if (!response.contains("content")) {
      CHECK(answer.body.empty());
      return;
    }
    const std::string type = answer.header("content-type");
    REQUIRE(response.at("content").contains(type));
    if (type == "application/json") {
      CHECK(misfit(document_, response.at("content").at(type).at("schema"), json::parse(answer.body)) == "");
    }
  }

  bool saw(const std::string& line) const { return seen_.contains(line); }

 private:
  const json& document_;
  std::set<std::string> seen_;
};

}  // namespace

TEST_CASE("The document and the route table name the same routes", "[openapi]") {
  const RunningServer server;
  const json document = json::parse(ask(server.port(), "GET", "/openapi.json").body);
  CHECK(document.at("openapi").get<std::string>().starts_with("3."));
  CHECK(document.at("info").at("version") ==
        json::parse(ask(server.port(), "GET", "/v2").body).at("version"));
  std::set<std::string> documented, served;
  for (const auto& [path, item] : document.at("paths").items()) {
    for (const auto& [method, operation] : item.items()) {
      if (method != "parameters") {
        documented.insert(upper(method) + " " + path);
        CHECK(operation.contains("operationId"));
      }
    }
  }
  for (const auto& route : service::Api::route_names()) {
    served.insert(route.method + " " + route.pattern);
  }
  CHECK(documented == served);
}

TEST_CASE("Every route answers as the document says", "[openapi]") {
  auto options = small_server_options();
  options.max_sessions = 3;
  const RunningServer server(options);
  const auto port = server.port();
  const json document = json::parse(ask(port, "GET", "/openapi.json").body);
  Walker walker(document);
  const auto model = small_model("tiny");
  const std::string key = register_key(server, 1);
  const std::string session = open_session(server, *model, 1);
  SeededRng rng(5);
  protocols::ClientSession client(model->bundle(), small_key(1), random_input(rng, model->network()));
  const std::string message = as_text(client.start());
  const std::string round_type = "application/vnd.popcorn+octet-stream";
  const json open = {{"key_id", key}, {"config_id", config_id(port)}};

  const auto expand = [&](std::string path, bool known) {
    const auto put = [&](const std::string& name, const std::string& value) {
      const std::size_t at = path.find(name);
      if (at != std::string::npos) {
        path.replace(at, name.size(), value);
      }
    };
    put("{model}", known ? "tiny" : "unknown");
    put("{key_id}", known ? key : std::string(64, '0'));
    put("{session_id}", known ? session : std::string(32, '0'));
    put("{round}", "0");
    return path;
  };
  const auto body_for = [&](const std::string& path) {
    if (path == "/v2/keys") {
      return small_key(2)->public_key().to_json();
    }
    return path.ends_with("{round}")
               ? message
               : (path.ends_with("/sessions") || path.ends_with("/preparations") ? open.dump()
                                                                                 : std::string("{}"));
  };

  // Twice for each route: with names that exist and with names that do not; what deletes comes last.
  std::vector<std::pair<std::string, std::string>> operations, deletions;
  for (const auto& [path, item] : document.at("paths").items()) {
    for (const auto& [method, operation] : item.items()) {
      if (method != "parameters") {
        (method == "delete" ? deletions : operations).emplace_back(path, method);
      }
    }
  }
  operations.insert(operations.end(), deletions.begin(), deletions.end());
  for (const auto& [path, method] : operations) {
    const bool sends = method == "post";
    const std::string type = path.ends_with("{round}") ? round_type : "application/json";
    const std::string body = sends ? body_for(path) : "";
    for (const bool known : {true, false}) {
      walker.check(path, method, ask(port, upper(method), expand(path, known), body, type));
    }
    if (sends) {
      const std::string plain = expand(path, true);
      walker.check(path, method, ask(port, "POST", plain, body, "text/plain"));
      walker.check(path, method, ask(port, "POST", plain, "{", type));
      RawConnection no_length(port);
      no_length.send("POST " + plain + " HTTP/1.1\r\nHost: a\r\nContent-Type: " + type + "\r\n\r\n");
      walker.check(path, method, no_length.receive());
    }
    walker.check(path, method, ask(port, upper(method), expand(path, true), body, type, {{"Host", "twice"}}));
  }
  const std::string sessions = "/v2/models/{model}/sessions";
  register_key(server, 1);
  for (int i = 0; i < 3; ++i) {
    walker.check(sessions, "post", ask(port, "POST", "/v2/models/tiny/sessions", open.dump()));
  }
  for (const std::string expected :
       {"get /v2 200", "post /v2/keys 201", "post /v2/keys 415", "post /v2/keys 411", "post /v2/keys 400",
        "delete /v2/keys/{key_id} 204", "delete /v2/keys/{key_id} 404",
        "delete /v2/sessions/{session_id} 204", "post /v2/models/{model}/infer 501",
        "post /v2/models/{model}/sessions 201", "post /v2/models/{model}/sessions 503",
        "post /v2/sessions/{session_id}/rounds/{round} 200",
        "post /v2/sessions/{session_id}/rounds/{round} 415",
        "post /v2/sessions/{session_id}/rounds/{round} 409"}) {
    INFO(expected);
    CHECK(walker.saw(expected));
  }
}
