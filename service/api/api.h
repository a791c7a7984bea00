// The routes: HTTP and JSON on one side, native types on the other. See docs/openapi.json.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "service/api/router.h"
#include "service/http/http_message.h"
#include "service/jobs/memory_budget.h"
#include "service/key_admission.h"
#include "service/session_manager.h"

namespace popcorn::service {

inline constexpr const char* kRoundContentType = "application/vnd.popcorn+octet-stream";

struct ApiServices {
  const ModelRegistry& models;
  KeyRegistry& keys;
  KeyAdmission& admission;
  SessionManager& sessions;
  MemoryBudget& memory;
  JobQueue& queue;
  Metrics& metrics;
  paillier::KeySizePolicy key_policy;
  std::uint64_t max_body_bytes = 0;  ///< of one request; 0 = what the protocol needs
  bool subgroup_keys = false;        ///< whether keys of that kind are taken
};

/// The public port.
class Api {
 public:
  explicit Api(ApiServices services) : services_(services) {}

  /// Handlers keep a pointer to this object.
  std::vector<Route> routes();
  struct RouteName {
    std::string method, pattern;
  };
  /// For the test that compares the routes with the OpenAPI document.
  static std::vector<RouteName> route_names();

 private:
  struct Entry;
  static const std::vector<Entry>& table();

  HttpResponse live(Call& call);
  HttpResponse ready(Call& call);
  HttpResponse server_metadata(Call& call);
  HttpResponse list_models(Call& call);
  HttpResponse model_metadata(Call& call);
  HttpResponse model_ready(Call& call);
  HttpResponse version_metadata(Call& call);
  HttpResponse version_ready(Call& call);
  /// @throws Refusal unavailable while the server drains or its session store does not answer
  void require_ready();
  /// @throws Refusal not_found
  /// The form of the model in the path that the query's `engine` asks for.
  const PublishedModel& form_of(const Call& call) const;
  void require_version(const std::string& model, const std::string& version);
  HttpResponse client_bundle(Call& call);
  HttpResponse register_key(Call& call);
  HttpResponse key_status(Call& call);
  HttpResponse forget_key(Call& call);
  SessionInfo open(Call& call, bool preparation);
  HttpResponse open_session(Call& call);
  HttpResponse open_preparation(Call& call);
  HttpResponse preparations(Call& call);
  /// @throws Refusal not_found for a session that is none
  SessionInfo preparation_of(const Call& call);
  HttpResponse preparation_status(Call& call);
  HttpResponse forget_preparation(Call& call);
  HttpResponse claim_preparation(Call& call);
  HttpResponse session_status(Call& call);
  HttpResponse cancel_session(Call& call);
  HttpResponse run_round(Call& call);
  HttpResponse round_status(Call& call);
  HttpResponse plaintext_inference(Call& call);
  HttpResponse openapi(Call& call);

  ApiServices services_;
};

}  // namespace popcorn::service
