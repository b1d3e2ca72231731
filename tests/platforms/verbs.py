"""What users do, in a child that acts as another system: each step asserts what it left."""
