// Random distortions of training pictures, so that a small network generalises.
#pragma once

#include <random>
#include <span>
#include <string>

#include "models/network/integer_network.h"

namespace popcorn::compress {

/// Strength of each distortion; all zero = none.
struct Augmentation {
  double shift = 0;     ///< largest translation, pixels
  double rotation = 0;  ///< largest rotation, degrees
  double scale = 0;     ///< largest relative change of size
  double shear = 0;     ///< largest shear, ratio
  double elastic = 0;   ///< standard deviation of the smooth displacement at its control points, pixels
  bool mirror = false;  ///< left–right, with probability 1/2
  double erase = 0;     ///< probability of one grey rectangle (Zhong et al. 2020)
  bool any() const noexcept;

  /// Handwritten digits: small affine and elastic distortions (Simard, Steinkraus, Platt 2003).
  static Augmentation digits();
  /// Small natural pictures: shifts and mirror images.
  static Augmentation objects();
  /// What suits the data set of this name: digits for mnist, objects otherwise.
  static Augmentation for_dataset(const std::string& dataset);
};

/// One distorted copy of a picture (channel first), bilinear, with `background` outside.
/// @param picture 0…255; `out` has the same size
void augment(const Augmentation& settings, const models::Shape& shape, std::span<const std::uint8_t> picture,
             float background, std::mt19937_64& random, std::span<float> out);

}  // namespace popcorn::compress
