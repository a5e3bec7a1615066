mod corpus;
mod hostile;
mod own;
mod request;
mod shapes;
