// The routes: HTTP and JSON on one side, native types on the other. See docs/openapi.json.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "service/http_message.h"
#include "service/memory_budget.h"
#include "service/session_manager.h"

namespace popcorn::service {

inline constexpr const char* kRoundContentType = "application/vnd.popcorn+octet-stream";

struct ApiServices {
  const ModelRegistry& models;
  KeyRegistry& keys;
  SessionManager& sessions;
  JobQueue& queue;
  MemoryBudget& memory;
  Counters& counters;
  paillier::KeySizePolicy key_policy;
  std::function<void(const std::string& json_line)> log;
};

class Api {
 public:
  explicit Api(ApiServices services) : services_(std::move(services)) {}

  /// Never throws.
  HttpResponse handle(HttpRequest& request);
  HttpResponse reject(int status);

  struct RouteName {
    std::string method, pattern;
  };
  /// Every route, for the test that compares them with the OpenAPI document.
  static std::vector<RouteName> routes();

 private:
  struct Call;
  struct Route;
  static const std::vector<Route>& table();

  HttpResponse dispatch(Call& call);
  void log(const Call& call, const HttpResponse& response, const std::string& code) const;

  HttpResponse live(Call& call);
  HttpResponse ready(Call& call);
  HttpResponse server_metadata(Call& call);
  HttpResponse list_models(Call& call);
  HttpResponse model_metadata(Call& call);
  HttpResponse model_ready(Call& call);
  HttpResponse client_bundle(Call& call);
  HttpResponse register_key(Call& call);
  HttpResponse key_status(Call& call);
  HttpResponse forget_key(Call& call);
  HttpResponse open_session(Call& call);
  HttpResponse session_status(Call& call);
  HttpResponse cancel_session(Call& call);
  HttpResponse run_round(Call& call);
  HttpResponse plaintext_inference(Call& call);
  HttpResponse openapi(Call& call);

  ApiServices services_;
};

}  // namespace popcorn::service
