module amends.example/bank

go 1.22
