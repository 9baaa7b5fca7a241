use async_trait::async_trait;
use backend::{AddressId, AddressSpec, Addresses, BackendError, IntentTag, ReservedAddress};

use super::{Guarded, call::Call, gone};

impl Guarded {
    fn its_addresses(&self) -> Result<&dyn Addresses, BackendError> {
        self.backend.addresses().ok_or_else(|| gone("reserved addresses"))
    }
}

#[async_trait]
impl Addresses for Guarded {
    async fn reserve(&self, spec: &AddressSpec) -> Result<ReservedAddress, BackendError> {
        self.call(Call::ReserveAddress, self.its_addresses()?.reserve(spec)).await
    }

    async fn address(&self, id: &AddressId) -> Result<ReservedAddress, BackendError> {
        self.call(Call::Address, self.its_addresses()?.address(id)).await
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<ReservedAddress>, BackendError> {
        self.call(Call::FindAddressByTag, self.its_addresses()?.find_by_tag(tag)).await
    }

    async fn release(&self, id: &AddressId) -> Result<(), BackendError> {
        self.call(Call::ReleaseAddress, self.its_addresses()?.release(id)).await
    }
}
