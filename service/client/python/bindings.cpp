// The module popcorn._popcorn: the client library, and plaintext evaluation for comparison. Everything that
// makes it comfortable (pictures, batches, asyncio) is Python, beside it.
#include <pybind11/functional.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <atomic>

#include "models/evaluation/plaintext_evaluator.h"
#include "models/evaluation/prediction.h"
#include "models/file/popcorn_file.h"
#include "models/input/input_encoding.h"
#include "service/client/client.h"

namespace py = pybind11;
using namespace popcorn;

namespace {

using Samples = py::array_t<std::uint8_t, py::array::c_style>;
using Integers = py::array_t<std::int64_t, py::array::c_style>;

/// height × width, or height × width × channels with 1 or 3 channels.
client::Picture picture_of(const Samples& samples) {
  if (samples.ndim() != 2 && samples.ndim() != 3)
    throw UsageError("picture.shape", "a picture is an array of height x width or height x width x channels");
  client::Picture picture;
  picture.height = samples.shape(0);
  picture.width = samples.shape(1);
  picture.channels = samples.ndim() == 3 ? samples.shape(2) : 1;
  if ((picture.channels != 1 && picture.channels != 3) || picture.height == 0 || picture.width == 0)
    throw UsageError("picture.shape", "a picture has pixels of 1 or 3 channels");
  picture.samples.assign(samples.data(), samples.data() + samples.size());
  return picture;
}

std::vector<std::int64_t> vector_of(const Integers& values) {
  return {values.data(), values.data() + values.size()};
}

/// Exact: logits may be larger than any integer of C++.
py::list integers_of(const std::vector<std::string>& decimals) {
  py::list integers;
  for (const std::string& decimal : decimals)
    integers.append(py::reinterpret_steal<py::object>(PyLong_FromString(decimal.c_str(), nullptr, 10)));
  return integers;
}

/// A client that another thread, or Ctrl-C, may cancel. Calls release the interpreter's lock.
class Connection {
 public:
  Connection(const std::string& url, client::Options options)
      : client_(url, with_cancel(std::move(options))) {}

  std::vector<std::string> models() {
    const py::gil_scoped_release released;
    return client_.models();
  }
  client::Model model(const std::string& name) {
    const py::gil_scoped_release released;
    return client_.model(name);
  }
  client::Answer classify_picture(const client::Model& model, const client::Key& key, const Samples& samples,
                                  const py::object& progress) {
    const client::Picture picture = picture_of(samples);
    return run([&](const client::Progress& tell) { return client_.classify(model, key, picture, tell); },
               progress);
  }
  client::Answer classify_input(const client::Model& model, const client::Key& key, const Integers& values,
                                const py::object& progress) {
    const std::vector<std::int64_t> input = vector_of(values);
    return run([&](const client::Progress& tell) { return client_.classify(model, key, input, tell); },
               progress);
  }
  void cancel() noexcept { cancelled_ = true; }

 private:
  client::Options with_cancel(client::Options options) {
    options.cancel = &cancelled_;
    return options;
  }

  template <typename Call>
  client::Answer run(const Call& call, const py::object& progress) {
    cancelled_ = false;
    const client::Progress tell = [&progress](std::uint64_t done, std::uint64_t rounds,
                                              const std::string& step) {
      const py::gil_scoped_acquire held;
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
      if (!progress.is_none()) progress(done, rounds, step);
    };
    const py::gil_scoped_release released;
    return call(tell);
  }

  std::atomic<bool> cancelled_{false};
  client::Client client_;
};

/// A network whose weights are here, evaluated in the clear.
class PlainModel {
 public:
  explicit PlainModel(const std::string& path) : network_(models::read_network(path)) {}
  const std::string& name() const noexcept { return network_.name; }

  client::Answer evaluate_picture(const Samples& samples) const {
    client::Picture picture = picture_of(samples);
    const models::Image image{picture.width, picture.height, picture.channels, std::move(picture.samples)};
    return evaluate(models::encode_image(network_.encoding, image));
  }
  client::Answer evaluate_input(const Integers& values) const {
    return evaluate(WideVector::from_int64(vector_of(values)));
  }

 private:
  client::Answer evaluate(const WideVector& input) const {
    const py::gil_scoped_release released;
    const WideVector logits = models::evaluate(network_, input);
    const models::Prediction prediction =
        models::predict(logits, network_.output().scale, network_.softmax, network_.labels);
    client::Answer answer;
    answer.index = prediction.index;
    answer.label = prediction.label;
    answer.probability = prediction.probability;
    for (std::size_t i = 0; i < logits.size(); ++i) answer.logits.push_back(logits.to_decimal(i));
    return answer;
  }

  models::IntegerNetwork network_;
};

/// popcorn.errors has the tree; an instance is made with the stable code.
void raise_as(const char* name, const Error& error) {
  const py::object type = py::module_::import("popcorn.errors").attr(name);
  PyErr_SetObject(type.ptr(), type(error.what(), error.code()).ptr());
}

void translate(std::exception_ptr thrown) {
  try {
    if (thrown) std::rethrow_exception(thrown);
  } catch (const UsageError& error) {
    raise_as("UsageError", error);
  } catch (const InputError& error) {
    raise_as("InputError", error);
  } catch (const IoError& error) {
    raise_as("FileError", error);
  } catch (const NetworkError& error) {
    raise_as("NetworkError", error);
  } catch (const AuthError& error) {
    raise_as("AuthError", error);
  } catch (const RefusedError& error) {
    raise_as("RefusedError", error);
  } catch (const CheckError& error) {
    raise_as("CheckError", error);
  } catch (const Error& error) {
    raise_as("PopcornError", error);
  }
}

void bind_key(py::module_& module) {
  py::class_<client::Key>(module, "Key",
                          "A Paillier key pair; who holds it can read what is encrypted under it.")
      .def_static("generate", &client::Key::generate, py::arg("bits") = 3072,
                  py::call_guard<py::gil_scoped_release>(),
                  "A fresh pair in memory: 2048, 3072 or 4096 bits; about a second.")
      .def_static("load", &client::Key::read, py::arg("file"), py::call_guard<py::gil_scoped_release>(),
                  "Reads a file of `popcorn keygen` or of save(); others must not be able to read it.")
      .def_static("from_json", &client::Key::from_json, py::arg("json"),
                  py::call_guard<py::gil_scoped_release>(),
                  "From the JSON of such a file, or python-paillier's private key in JSON.")
      .def("save", &client::Key::write, py::arg("file"), "Writes a file for its owner alone (0600).")
      .def("to_json", &client::Key::to_json, "The secret key as JSON, which python-paillier reads too.")
      .def_property_readonly("bits", &client::Key::bits, "Bits of the modulus.")
      .def_property_readonly("fingerprint", &client::Key::fingerprint,
                             "SHA-256 of the public key, 64 hexadecimal digits.")
      .def("__repr__", [](const client::Key& key) {
        return "<popcorn.Key of " + std::to_string(key.bits()) + " bits, " + key.fingerprint().substr(0, 16) +
               ">";
      });
}

void bind_answer(py::module_& module) {
  using client::Answer;
  py::class_<Answer>(module, "Answer", "What an inference says, and what it took.")
      .def_readonly("index", &Answer::index, "Number of the class.")
      .def_readonly("label", &Answer::label, "Its name, or its number where the model has no names.")
      .def_readonly("probability", &Answer::probability, "Softmax of the scaled logits, or None.")
      .def_property_readonly(
          "logits", [](const Answer& answer) { return integers_of(answer.logits); },
          "Exact integers; empty when the server gives the label alone.")
      .def_readonly("seconds", &Answer::seconds, "Wall time.")
      .def_readonly("bytes_up", &Answer::bytes_up)
      .def_readonly("bytes_down", &Answer::bytes_down)
      .def_readonly("rounds", &Answer::rounds)
      .def_readonly("from_stock", &Answer::from_stock,
                    "Whether a preparation was used; figures are of the rest.")
      .def("__repr__", [](const Answer& answer) { return "<popcorn.Answer '" + answer.label + "'>"; });
}

void bind_models(py::module_& module) {
  using client::Model;
  py::class_<Model>(module, "Model", "What has to be known of a model to encrypt for it; never its weights.")
      .def_property_readonly("name", &Model::name)
      .def_property_readonly("labels", &Model::labels)
      .def_property_readonly(
          "shape",
          [](const Model& model) { return py::make_tuple(model.channels(), model.height(), model.width()); },
          "Channels, height and width of the input.")
      .def("__repr__", [](const Model& model) { return "<popcorn.Model '" + model.name() + "'>"; });
  py::class_<PlainModel>(module, "PlainModel", "A .popcorn file, evaluated in plaintext for comparison.")
      .def(py::init<const std::string&>(), py::arg("file"))
      .def_property_readonly("name", &PlainModel::name)
      .def("_evaluate_picture", &PlainModel::evaluate_picture)
      .def("_evaluate_input", &PlainModel::evaluate_input);
}

client::Options options_of(const std::string& token, const std::string& ca_file,
                           const std::string& client_certificate, const std::string& client_key,
                           const std::string& engine, const std::string& sign_test,
                           const std::string& stock_folder, unsigned connect_timeout,
                           unsigned round_timeout) {
  client::Options options;
  options.token = token;
  options.ca_file = ca_file;
  options.client_certificate_file = client_certificate;
  options.client_key_file = client_key;
  options.engine = engine;
  options.sign_test = sign_test;
  options.stock_folder = stock_folder;
  options.connect_timeout_seconds = connect_timeout;
  options.round_timeout_seconds = round_timeout;
  return options;
}

void bind_connections(py::module_& module) {
  py::class_<client::Options>(module, "_Options")
      .def(py::init(&options_of), py::kw_only(), py::arg("token"), py::arg("ca_file"),
           py::arg("client_certificate"), py::arg("client_key"), py::arg("engine"), py::arg("sign_test"),
           py::arg("stock_folder"), py::arg("connect_timeout"), py::arg("round_timeout"));
  py::class_<Connection>(module, "_Connection")
      .def(py::init<const std::string&, client::Options>())
      .def("models", &Connection::models)
      .def("model", &Connection::model)
      .def("classify_picture", &Connection::classify_picture)
      .def("classify_input", &Connection::classify_input)
      .def("cancel", &Connection::cancel);
  py::class_<client::StockKeeper>(module, "_StockKeeper")
      .def(py::init<const std::string&, const std::string&, const client::Key&, std::size_t,
                    client::Options>(),
           py::call_guard<py::gil_scoped_release>())
      .def_property_readonly("ready", &client::StockKeeper::ready)
      .def_property_readonly("problem", &client::StockKeeper::problem);
}

}  // namespace

PYBIND11_MODULE(_popcorn, module) {
  module.attr("__version__") = POPCORN_VERSION;
  py::register_exception_translator(&translate);
  bind_key(module);
  bind_answer(module);
  bind_models(module);
  bind_connections(module);
}
