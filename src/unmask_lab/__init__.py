"""The lab: forging, evaluation and calibration. Not needed to use Unmask; unmask never imports it."""
