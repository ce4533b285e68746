"""What is kept between runs: components, their compiled code, policies, secrets."""
