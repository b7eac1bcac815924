"""Passes: functions from a closed graph to a simpler one that computes the same bits. One file each."""
